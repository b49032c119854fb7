"""How many requests ended how, and how long they took: plain numbers, which a scrape turns into metrics.

The counters of prometheus_client would cost a repeated call more than its whole way (`bench`), and several
times as much where workers share files. So a worker writes its numbers there once a second.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from prometheus_client import Gauge
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BOUNDS = (*map(floatToGoString, SECONDS), "+Inf")
SHARED = "wecom_broker_requests_of_worker"
SHARED_LABELS = ("service", "rpc", "type", "number", "of")

Record = Callable[[str, float], None]
"""Take the code with which a request ended, and when it began (`time.perf_counter`)."""


class RpcType(StrEnum):
    """What a caller sends and gets, in the words of grpc_server_handled_total."""

    UNARY = "unary"
    CLIENT_STREAM = "client_stream"
    SERVER_STREAM = "server_stream"


class Rpc(NamedTuple):
    """A method of a service."""

    service: str
    name: str
    type: RpcType = RpcType.UNARY

    @classmethod
    def of(cls, method: str, kind: RpcType) -> "Rpc":
        """Return it by its full method, as in `/wecom_broker.v1.TokenService/GetAccessToken`."""
        service, _, name = method.strip("/").rpartition("/")
        return cls(service, name, kind)


class Number(StrEnum):
    """What a number that a worker writes is."""

    ENDED = "ended"
    """Requests, by code."""
    TOOK_UP_TO = "took_up_to"
    """Requests, by the bucket that their time falls in."""
    TOOK = "took"
    """The sum of their times."""


@dataclass(slots=True)
class Repeats:
    """How many requests were answered at once since the last look."""

    count: int = 0


@dataclass(slots=True)
class Tally:
    """The numbers of one rpc."""

    ended: Counter[str] = field(default_factory=Counter)
    buckets: list[float] = field(default_factory=lambda: [0.0] * len(BOUNDS))
    seconds: float = 0.0
    repeats: Repeats = field(default_factory=Repeats)

    def add_repeats(self) -> None:
        """Count what was answered at once as ended well, in no time: to measure a few µs takes as long."""
        repeated, self.repeats.count = self.repeats.count, 0
        self.ended["OK"] += repeated
        self.buckets[0] += repeated


class Requests(Collector):
    """Count the requests of this process."""

    def __init__(self) -> None:
        self._tallies: dict[Rpc, Tally] = {}
        self._published: dict[Rpc, int] = {}
        """How many requests of each were published."""

    def recorder(self, rpc: Rpc, codes: Iterable[str] = ()) -> Record:
        """Return what counts and times a request of the rpc when it ends.

        The codes with which it may end are shown from now on, so that an increase sees the first of each.
        """
        tally = self._tallies.setdefault(rpc, Tally())
        ended, buckets = tally.ended, tally.buckets
        ended.update(dict.fromkeys(codes, 0))

        def record(code: str, began: float) -> None:
            took = time.perf_counter() - began
            ended[code] += 1
            buckets[bisect_left(SECONDS, took)] += 1
            tally.seconds += took

        return record

    def repeats(self, rpc: Rpc) -> Repeats:
        """Return what counts the requests of the rpc that are answered at once."""
        return self._tallies.setdefault(rpc, Tally()).repeats

    def counted(self) -> dict[tuple[str, str], int]:
        """Return how many requests of each rpc ended with each code that any ended with."""
        return {
            (rpc.name, code): n
            for rpc, tally in self._present().items()
            for code, n in tally.ended.items()
            if n
        }

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        return _families(self._present())

    def publish(self, shared: Gauge) -> None:
        """Write the numbers that have changed where those of all workers are added up."""
        for rpc, tally in self._present().items():
            if self._published.get(rpc) == (requests := tally.ended.total()):
                continue
            self._published[rpc] = requests
            for code, number in tally.ended.items():
                shared.labels(*rpc, Number.ENDED, code).set(number)
            for bound, falling in zip(BOUNDS, tally.buckets, strict=True):
                shared.labels(*rpc, Number.TOOK_UP_TO, bound).set(falling)
            shared.labels(*rpc, Number.TOOK, "").set(tally.seconds)

    def _present(self) -> Mapping[Rpc, Tally]:
        for tally in self._tallies.values():
            if tally.repeats.count:
                tally.add_repeats()
        return self._tallies


def requests_of_workers(shared: Metric) -> tuple[Metric, ...]:
    """Return what all workers have published as the metrics of one process."""
    tallies: dict[Rpc, Tally] = {}
    for sample in shared.samples:
        labels = sample.labels
        rpc = Rpc(labels["service"], labels["rpc"], RpcType(labels["type"]))
        tally = tallies.setdefault(rpc, Tally())
        match labels["number"]:
            case Number.ENDED:
                tally.ended[labels["of"]] += int(sample.value)
            case Number.TOOK_UP_TO:
                tally.buckets[BOUNDS.index(labels["of"])] += sample.value
            case _:
                tally.seconds += sample.value
    return _families(tallies)


def _families(tallies: Mapping[Rpc, Tally]) -> tuple[Metric, ...]:
    requests = CounterMetricFamily(
        "wecom_broker_requests_total", "Requests by rpc and status code.", labels=["rpc", "code"]
    )
    handled = CounterMetricFamily(
        "grpc_server_handled_total",
        "Requests by method and status code, as go-grpc-middleware names them.",
        labels=["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
    )
    seconds = HistogramMetricFamily("wecom_broker_request_seconds", "Time per request.", labels=["rpc"])
    for rpc, tally in tallies.items():
        for code, number in tally.ended.items():
            requests.add_metric([rpc.name, code], number)
            handled.add_metric([rpc.type, rpc.service, rpc.name, _as_go_says(code)], number)
        up_to, buckets = 0.0, []
        for bound, falling in zip(BOUNDS, tally.buckets, strict=True):
            up_to += falling
            buckets.append((bound, up_to))
        seconds.add_metric([rpc.name], buckets, tally.seconds)
    return requests, handled, seconds


def _as_go_says(code: str) -> str:
    """Return the code as dashboards of other services have it: `NotFound`; `Canceled` is Go's spelling."""
    if code in {"OK", "CANCELLED"}:
        return {"OK": "OK", "CANCELLED": "Canceled"}[code]
    return "".join(word.capitalize() for word in code.split("_"))
