"""The metrics that Prometheus scrapes: a table, without a secret or an unbounded label."""

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    multiprocess,
)
from prometheus_client.process_collector import ProcessCollector

from broker import __version__
from broker.domain.ports.clock import Clock
from broker.domain.suites.view import ViewState
from broker.telemetry.exposition import pieces
from broker.telemetry.process import Across, ProcessOfWorker
from broker.telemetry.requests import SECONDS, SHARED, SHARED_LABELS, Requests
from broker.telemetry.workers import MetricsOfWorkers

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Set where several workers write their metrics into files."""
PUBLISHED_EVERY = timedelta(seconds=1)


class Metrics:
    """All metrics of one broker; two brokers in a process count separately."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter, gauge, histogram = self._counter, self._gauge, self._histogram

        self.requests = Requests()
        self.registry.register(self.requests)
        self.registry.register(ProcessCollector(registry=None))
        self._shared_requests: Gauge | None = None
        self._process = ProcessOfWorker()
        self._updates: list[Callable[[], None]] = []
        self._shown: dict[Gauge, set[tuple[str, ...]]] = {}
        self.build_info = gauge(
            "build_info", "Always 1; the versions are labels.", "version", "python", "grpc"
        )
        self.build_info.labels(__version__, platform.python_version(), grpc.__version__).set(1)
        self.caller_calls = counter(
            "caller_calls_total", "Calls that were let in, by configured caller.", "caller"
        )
        self.callers_refused = counter(
            "callers_refused_total",
            "Requests refused by configured caller (empty if unknown) and reason.",
            *("caller", "reason"),
        )
        self.forced_fetches = counter(
            "forced_fetches_total",
            "Fetches that a caller forced by a report, a refresh or a min_ttl, by configured caller.",
            "caller",
        )
        self.audit_records = counter(
            "audit_records_total", "Audit records, by whether they were written or lost.", "outcome"
        )
        self.tls_not_after = gauge(
            "tls_not_after_seconds",
            "When the first certificate in a file of server.tls ends, as unix time.",
            "file",
            across="livemin",
        )
        self.upstream_calls = counter(
            "upstream_calls_total",
            "Calls to WeCom by endpoint and errcode (or the reason why there was no answer).",
            *("endpoint", "errcode"),
        )
        self.upstream_seconds = histogram(
            "upstream_seconds", "Time per call to WeCom.", "endpoint", buckets=Histogram.DEFAULT_BUCKETS
        )
        self.lease_wait_seconds = histogram(
            "lease_wait_seconds", "Time that a fetch waited for another replica's lease."
        )
        self.refreshes = counter("refreshes_total", "Refreshes by kind and outcome.", "kind", "outcome")
        self.refusals = gauge(
            "refusals",
            "What WeCom refused and this replica remembers, by who and what must change.",
            *("app", "reason", "errcode", "endpoint", "ip"),
        )
        self.app_shares = gauge(
            "app_shares", "Child corps that an app is shared with, as last listed.", "app", "share_kind"
        )
        self.shares_ended_unannounced = counter(
            "shares_ended_unannounced_total",
            "Child corps that a listing lacks although no event of WeCom announced it.",
            "app",
        )
        self.credentials = gauge("credentials", "Credentials in memory by kind and state.", "kind", "state")
        self.oldest_seconds = gauge(
            "credential_oldest_seconds", "Age of the oldest credential in memory, by kind.", "kind"
        )
        self.dependency_up = gauge(
            "dependency_up", "Whether the store and WeCom answer.", "dependency", across="livemin"
        )
        self.ready = gauge("ready", "Whether this replica is ready for requests.", across="livemin")
        self.ticket_quota_used = gauge(
            "ticket_quota_used_ratio",
            "The highest share of an hourly jsapi_ticket limit that is used, of tickets fetched here.",
        )
        self.watchers = gauge("watchers", "Open watches.", across="livesum")

        self.http_connections = gauge("http_connections", "Open HTTP connections.", across="livesum")
        self.config_reloads = counter(
            "config_reloads_total", "Reloads of the configuration, by outcome: applied or refused.", "outcome"
        )
        self.config_loaded = gauge(
            "config_loaded_timestamp_seconds",
            "When the configuration in force was read.",
            across="livemin",
        )
        self.durable_writes = counter(
            "durable_writes_total",
            "Records that must not be lost, by what the store said: proven, late or unproven to be on disk.",
            "outcome",
        )
        self.replicated_writes = counter(
            "replicated_writes_total",
            "Events and records that must not be lost, by what the store said of its replicas:"
            " proven, late or unproven to be there. Only with store.replicas_acknowledge.",
            "outcome",
        )
        self.store_damage = counter(
            "store_damage_total", "What was found in the store that no broker wrote there, by kind.", "damage"
        )
        self.store_clock_offset = gauge(
            "store_clock_offset_seconds",
            "How far the store's clock was ahead of this machine's.",
        )
        self.clock_skew = gauge(
            "clock_skew_seconds", "How far a clock is ahead of the time that this replica goes by.", "clock"
        )
        self.callbacks = counter(
            "callbacks_total",
            "Callbacks by app and outcome: accepted, repeated, verified, or the reason for the refusal.",
            *("app", "outcome"),
        )
        self.callback_receivers = counter(
            "callback_receivers_total",
            "Accepted callbacks by app and what they were sealed for.",
            *("app", "form"),
        )
        self.callback_seconds = histogram("callback_seconds", "Time until a callback was answered.")
        self.events_delivered = counter(
            "events_delivered_total",
            "Events delivered to a member of a group, by whether they had been delivered before.",
            *("app", "group", "again"),
        )
        of_group = ("app", "group")
        self.event_lag = gauge("event_lag", "Events that a group has not handled.", *of_group)
        self.event_lag_seconds = gauge(
            "event_lag_seconds", "Age of the oldest event that a group has not handled.", *of_group
        )
        self.dead_events = gauge("dead_events", "Events that a group gave up.", *of_group)

        self.suite_tickets = counter(
            "suite_tickets_total", "Pushed suite_tickets, by whether they were the newest.", "app", "outcome"
        )
        self.suite_ticket_expiry = gauge(
            "suite_ticket_expiry_timestamp_seconds",
            "When the newest suite_ticket ends; 0 without one.",
            "app",
        )
        self.authorizations = gauge("authorizations", "Authorisations and codes by state.", "app", "state")
        self.exchanges = counter(
            "exchanges_total",
            "Exchanges of auth_codes by outcome: done, lost, or taken for unread.",
            *("app", "outcome"),
        )
        self.permission_expiry = gauge(
            "permission_expiry_timestamp_seconds", "When the first data permission of any corp ends.", "app"
        )

    def show(self, gauge: Gauge, values: Mapping[tuple[str, ...], float]) -> None:
        """Show these values, by label, and no others."""
        for labels in self._shown.get(gauge, set()) - values.keys():
            if MULTIPROCESS in os.environ:
                gauge.labels(*labels).set(0)
            else:
                gauge.remove(*labels)
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        self._shown[gauge] = set(values)

    def forget_suite(self, suite: str) -> None:
        """Forget the gauges of a suite that is not configured any more."""
        if MULTIPROCESS in os.environ:
            # Files of several processes cannot forget a series: it says that nothing ends.
            self.suite_ticket_expiry.labels(suite).set(float("inf"))
            self.permission_expiry.labels(suite).set(0)
            for state in ViewState:
                self.authorizations.labels(suite, state).set(0)
            return
        for gauge in (self.suite_ticket_expiry, self.permission_expiry, self.authorizations):
            gauge.remove_by_labels({"app": suite})

    def forget_group(self, app: str, group: str) -> None:
        """Forget the series of a group that is gone: callers name groups."""
        lags = (self.event_lag, self.event_lag_seconds, self.dead_events)
        if MULTIPROCESS in os.environ:
            for gauge in lags:
                gauge.labels(app, group).set(0)
            return
        for series in (*lags, self.events_delivered):
            series.remove_by_labels({"app": app, "group": group})

    def update_by(self, update: Callable[[], None]) -> None:
        """Call this before the metrics are shown: it measures what changes too often to be told."""
        self._updates.append(update)

    def exposition(self) -> Iterator[bytes]:
        """Yield all metrics in Prometheus' text format, of all workers together, in small pieces."""
        if MULTIPROCESS not in os.environ:
            self._update()
            yield from pieces(self.registry.collect())
            return
        self.publish()
        together = multiprocess.MultiProcessCollector(None)  # type: ignore[no-untyped-call]
        yield from pieces(MetricsOfWorkers(together).collect())

    async def keep_publishing(self, clock: Clock) -> None:
        """Publish every second, for ever: another worker may be the one that is scraped."""
        while True:
            self.publish()
            await clock.sleep(PUBLISHED_EVERY)

    def publish(self) -> None:
        """Write what is counted in memory where those of all workers are added up, if there are several."""
        if MULTIPROCESS not in os.environ:
            return
        self._update()
        if self._shared_requests is None:
            self._shared_requests = Gauge(
                SHARED, "See `Requests`.", SHARED_LABELS, registry=None, multiprocess_mode="sum"
            )
        self.requests.publish(self._shared_requests)
        self._process.publish()

    def _update(self) -> None:
        for update in self._updates:
            update()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"wecom_broker_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, *labels: str, buckets: tuple[float, ...] = SECONDS
    ) -> Histogram:
        return Histogram(f"wecom_broker_{name}", text, labels, registry=self.registry, buckets=buckets)

    def _gauge(self, name: str, text: str, *labels: str, across: Across = "livemax") -> Gauge:
        return Gauge(f"wecom_broker_{name}", text, labels, registry=self.registry, multiprocess_mode=across)
