"""How many requests ended how, and how long they took: plain numbers, which a scrape turns into metrics.

The counters of prometheus_client would cost a repeated call more than its whole way (`bench`), and several
times as much where workers share files. So a worker writes its numbers there once a second.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from prometheus_client import Gauge
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BOUNDS = (*map(floatToGoString, SECONDS), "+Inf")
SHARED = "wecom_broker_requests_of_worker"

Record = Callable[[str, float], None]
"""Take the code with which a request ended, and when it began (`time.perf_counter`)."""


class Number(StrEnum):
    """What a number that a worker writes is."""

    ENDED = "ended"
    """Requests, by code."""
    TOOK_UP_TO = "took_up_to"
    """Requests, by the bucket that their time falls in."""
    TOOK = "took"
    """The sum of their times."""


@dataclass(slots=True)
class Tally:
    """The numbers of one rpc."""

    ended: Counter[str] = field(default_factory=Counter)
    buckets: list[float] = field(default_factory=lambda: [0.0] * len(BOUNDS))
    seconds: float = 0.0


class Requests(Collector):
    """Count the requests of this process."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def recorder(self, rpc: str) -> Record:
        """Return what counts and times a request of the rpc when it ends."""
        tally = self._tallies.setdefault(rpc, Tally())
        ended, buckets = tally.ended, tally.buckets

        def record(code: str, began: float) -> None:
            took = time.perf_counter() - began
            ended[code] += 1
            buckets[bisect_left(SECONDS, took)] += 1
            tally.seconds += took

        return record

    def counted(self) -> dict[tuple[str, str], int]:
        """Return how many requests of each rpc ended with each code."""
        return {(rpc, code): n for rpc, tally in self._tallies.items() for code, n in tally.ended.items()}

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        return _families(self._tallies)

    def publish(self, shared: Gauge) -> None:
        """Write the numbers where those of all workers are added up."""
        for rpc, tally in self._tallies.items():
            if not tally.ended:
                continue
            for code, number in tally.ended.items():
                shared.labels(rpc, Number.ENDED, code).set(number)
            for bound, falling in zip(BOUNDS, tally.buckets, strict=True):
                shared.labels(rpc, Number.TOOK_UP_TO, bound).set(falling)
            shared.labels(rpc, Number.TOOK, "").set(tally.seconds)


class RequestsOfWorkers(Collector):
    """Show what all workers have published as the metrics of one process."""

    def __init__(self, published: Collector) -> None:
        self._published = published

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        for metric in self._published.collect():
            if metric.name == SHARED:
                yield from _families(_tallies(metric))
            else:
                yield metric


def _tallies(shared: Metric) -> Mapping[str, Tally]:
    tallies: dict[str, Tally] = {}
    for sample in shared.samples:
        tally = tallies.setdefault(sample.labels["rpc"], Tally())
        match sample.labels["number"]:
            case Number.ENDED:
                tally.ended[sample.labels["of"]] += int(sample.value)
            case Number.TOOK_UP_TO:
                tally.buckets[BOUNDS.index(sample.labels["of"])] += sample.value
            case _:
                tally.seconds += sample.value
    return tallies


def _families(tallies: Mapping[str, Tally]) -> tuple[Metric, Metric]:
    requests = CounterMetricFamily(
        "wecom_broker_requests_total", "Requests by rpc and status code.", labels=["rpc", "code"]
    )
    seconds = HistogramMetricFamily("wecom_broker_request_seconds", "Time per request.", labels=["rpc"])
    for rpc, tally in tallies.items():
        for code, number in tally.ended.items():
            requests.add_metric([rpc, code], number)
        up_to, buckets = 0.0, []
        for bound, falling in zip(BOUNDS, tally.buckets, strict=True):
            up_to += falling
            buckets.append((bound, up_to))
        seconds.add_metric([rpc], buckets, tally.seconds)
    return requests, seconds
