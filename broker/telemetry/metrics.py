"""The figures that Prometheus scrapes."""

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


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
