"""What operators see: structured logs, Prometheus metrics, and the vitals behind health."""

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from broker.domain.errors import BrokerError, WecomRefused
from broker.domain.event_log import Lag
from broker.domain.ports.clock import Clock
from broker.domain.replica_health import ReplicaHealth
from broker.domain.shares import AppShare

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LOGGER = "wecom_broker"
NO_ANSWER = re.compile(r"-1|timeout|connection|protocol|http_5\d\d")
"""Outcomes of a call that say something about WeCom, not about what was asked."""
REMEMBERED = 10_000
_CARRIES_SECRET = re.compile(r"((?:access_token|secret|ticket|session_key|(?<!err)code)=)[^&\s\"'<>]+")


def set_up_logging(level: str, form: str) -> None:
    """Send every log line of the process to stderr, for people or for programs."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    render: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries are never asked for more than this: at debug they would tell of every poll.
    root.setLevel(max(logging.INFO, logging.getLevelName(level.upper())))
    logging.getLogger(LOGGER).setLevel(level.upper())
    # Every stranger's broken request would be a stack trace; our own failures are told by the door.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut secrets out of query strings: the last net under libraries that log URLs."""
    for name, value in event.items():
        if isinstance(value, str) and "=" in value:
            event[name] = _CARRIES_SECRET.sub(r"\1***", value)
    return event


class Metrics:
    """The figures, without a secret or an unbounded label."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "wecom_broker_requests_total",
            "Requests by rpc and status code.",
            ["rpc", "code"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "wecom_broker_request_seconds",
            "Time per request.",
            ["rpc"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.upstream_calls = Counter(
            "wecom_broker_upstream_calls_total",
            "Calls to WeCom by endpoint and errcode (or what kept an answer from coming).",
            ["endpoint", "errcode"],
            registry=self.registry,
        )
        self.upstream_seconds = Histogram(
            "wecom_broker_upstream_seconds", "Time per call to WeCom.", ["endpoint"], registry=self.registry
        )
        self.lease_wait_seconds = Histogram(
            "wecom_broker_lease_wait_seconds",
            "Time that a fetch waited for another replica's lease.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.refreshes = Counter(
            "wecom_broker_refreshes_total",
            "Refreshes by kind and outcome.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.credentials = Gauge(
            "wecom_broker_credentials",
            "Credentials in memory by kind and state.",
            ["kind", "state"],
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.oldest_seconds = Gauge(
            "wecom_broker_credential_oldest_seconds",
            "Age of the oldest credential in memory, by kind.",
            ["kind"],
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.dependency_up = Gauge(
            "wecom_broker_dependency_up",
            "Whether the store and WeCom answer.",
            ["dependency"],
            multiprocess_mode="livemin",
            registry=self.registry,
        )
        self.ticket_quota_used = Gauge(
            "wecom_broker_ticket_quota_used_ratio",
            "The highest share of an hourly jsapi_ticket limit that is used, of tickets fetched here.",
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.watchers = Gauge(
            "wecom_broker_watchers", "Open watches.", multiprocess_mode="livesum", registry=self.registry
        )

        self.callbacks = Counter(
            "wecom_broker_callbacks_total",
            "Callbacks by app and outcome: accepted, repeated, verified, or why they were refused.",
            ["app", "outcome"],
            registry=self.registry,
        )
        self.callback_seconds = Histogram(
            "wecom_broker_callback_seconds",
            "Time until a callback was answered.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.events_delivered = Counter(
            "wecom_broker_events_delivered_total",
            "Events handed to a member of a group, by whether it was for the first time.",
            ["app", "group", "again"],
            registry=self.registry,
        )
        self.event_lag = Gauge(
            "wecom_broker_event_lag",
            "Events that a group has not handled.",
            ["app", "group"],
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.event_lag_seconds = Gauge(
            "wecom_broker_event_lag_seconds",
            "Age of the oldest event that a group has not handled.",
            ["app", "group"],
            multiprocess_mode="livemax",
            registry=self.registry,
        )
        self.dead_events = Gauge(
            "wecom_broker_dead_events",
            "Events that a group gave up.",
            ["app", "group"],
            multiprocess_mode="livemax",
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """Return all figures in Prometheus' text format, of all workers together."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


class Telemetry:
    """Hear what happens: log it, count it, keep the vitals. The `Observer` of a running broker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log = structlog.get_logger(LOGGER)
        self.metrics = Metrics()
        self.replica_health = ReplicaHealth(clock.now())
        self._sealed_for: set[tuple[str, str]] = set()
        self._groups: set[tuple[str, str]] = set()

    def upstream_called(self, endpoint: str, outcome: str, duration: timedelta) -> None:
        """See `Observer.upstream_called`."""
        self.metrics.upstream_calls.labels(endpoint, outcome).inc()
        self.metrics.upstream_seconds.labels(endpoint).observe(duration.total_seconds())
        self.replica_health.wecom.seen(self._clock.now(), outcome if NO_ANSWER.fullmatch(outcome) else "")
        seconds = round(duration.total_seconds(), 3)
        self._log.debug("upstream call", endpoint=endpoint, outcome=outcome, seconds=seconds)

    def lease_waited(self, name: str, duration: timedelta) -> None:
        """See `Observer.lease_waited`."""
        self.metrics.lease_wait_seconds.observe(duration.total_seconds())
        self._log.debug("waited for a lease", name=name, seconds=round(duration.total_seconds(), 3))

    def refreshed(self, name: str, kind: str, outcome: str, error: BrokerError | None = None) -> None:
        """See `Observer.refreshed`."""
        self.metrics.refreshes.labels(kind, outcome).inc()
        if error is None:
            self._log.info("refreshed", credential=name, outcome=outcome)
            return
        # An administrator must act on a refusal; for an outage somebody may only wait.
        say = self._log.error if isinstance(error, WecomRefused) else self._log.warning
        say(
            "refresh failed",
            credential=name,
            reason=error.reason,
            problem=error.message,
            **_told(error.metadata),
        )

    def store_lost(self, error: BrokerError) -> None:
        """See `Observer.store_lost`."""
        was_healthy = self.replica_health.store.healthy
        self.replica_health.store.seen(self._clock.now(), error.message)
        if was_healthy:
            self._log.error("the store is away; serving from memory", problem=error.message)

    def store_back(self) -> None:
        """See `Observer.store_back`."""
        was_healthy = self.replica_health.store.healthy
        self.replica_health.store.seen(self._clock.now())
        if not was_healthy:
            self._log.warning("the store is back")

    def shares_changed(self, app: str, added: Iterable[AppShare], removed: Iterable[AppShare]) -> None:
        """See `Observer.shares_changed`."""
        here, gone = [share.corp_id for share in added], [share.corp_id for share in removed]
        self._log.info(
            "shares changed", app=app, added=here[:20], removed=gone[:20], counts=[len(here), len(gone)]
        )

    def callback_ended(self, app: str, outcome: str, duration: timedelta) -> None:
        """See `Observer.callback_ended`."""
        self.metrics.callbacks.labels(app, outcome).inc()
        self.metrics.callback_seconds.observe(duration.total_seconds())

    def sealed_for_child(self, app: str, corp_id: str) -> None:
        """See `Observer.sealed_for_child`; each child is told once."""
        if len(self._sealed_for) < REMEMBERED and (app, corp_id) not in self._sealed_for:
            self._sealed_for.add((app, corp_id))
            self._log.info("callbacks are sealed for the child corp", app=app, corp_id=corp_id)

    def event_delivered(self, app: str, group: str, tries: int) -> None:
        """See `Observer.event_delivered`."""
        self.metrics.events_delivered.labels(app, group, "yes" if tries else "no").inc()

    def groups_lag(self, lags: Iterable[Lag]) -> None:
        """See `Observer.groups_lag`; a group that is gone has no lag."""
        found = {(lag.app, lag.group): lag for lag in lags}
        for labels in self._groups - found.keys():
            for gauge in (
                self.metrics.event_lag,
                self.metrics.event_lag_seconds,
                self.metrics.dead_events,
            ):
                gauge.labels(*labels).set(0)
        self._groups = set(found)
        for labels, lag in found.items():
            age = (self._clock.now() - lag.oldest).total_seconds() if lag.oldest else 0.0
            self.metrics.event_lag.labels(*labels).set(lag.open)
            self.metrics.event_lag_seconds.labels(*labels).set(max(age, 0.0))
            self.metrics.dead_events.labels(*labels).set(lag.dead)

    def background_failed(self, what: str, error: Exception) -> None:
        """See `Observer.background_failed`."""
        if isinstance(error, BrokerError):
            self._log.warning("background work failed", what=what, reason=error.reason, problem=error.message)
        else:
            self._log.error("background work failed", what=what, problem=type(error).__name__, exc_info=error)

    def handed_out(self, caller: str, action: str, name: str, generation: int, mark: str) -> None:
        """Write an audit record: who got which credential; a fingerprint, never the value."""
        self._log.info(
            "audit", caller=caller, action=action, credential=name, generation=generation, fingerprint=mark
        )


def _told(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"wecom_{name}": value for name, value in metadata.items()}
