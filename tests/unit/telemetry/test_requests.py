"""Requests are counted in plain numbers, which a scrape shows as counters and a histogram."""

import time

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from broker.telemetry.metrics import Metrics
from broker.telemetry.requests import SECONDS, SHARED, SHARED_LABELS, Requests, Rpc, RpcType
from broker.telemetry.workers import MetricsOfWorkers

GET = {"rpc": "GetAccessToken"}
TOKENS = "wecom_broker.v1.TokenService"
HANDLED = "grpc_server_handled_total"


def took(requests: Requests, seconds: float, code: str = "OK", rpc: str = "GetAccessToken") -> None:
    requests.recorder(Rpc(TOKENS, rpc))(code, time.perf_counter() - seconds)


def test_requests_are_counted_by_code_and_timed_by_rpc() -> None:
    metrics = Metrics()
    for seconds, code in ((0.0007, "OK"), (0.0007, "OK"), (0.2, "UNAVAILABLE"), (99, "OK")):
        took(metrics.requests, seconds, code)
    value = metrics.registry.get_sample_value

    assert 3 == value("wecom_broker_requests_total", {**GET, "code": "OK"})
    assert 1 == value("wecom_broker_requests_total", {**GET, "code": "UNAVAILABLE"})
    up_to = [value("wecom_broker_request_seconds_bucket", {**GET, "le": str(float(le))}) for le in SECONDS]
    assert [0] * 1 + [2] * 7 + [3] * 6 == up_to
    assert 4 == value("wecom_broker_request_seconds_bucket", {**GET, "le": "+Inf"})
    assert 4 == value("wecom_broker_request_seconds_count", GET)
    assert 99.2014 == pytest.approx(value("wecom_broker_request_seconds_sum", GET), abs=0.1)


@pytest.mark.parametrize(
    ("code", "said"),
    [("OK", "OK"), ("CANCELLED", "Canceled"), ("NOT_FOUND", "NotFound"), ("UNAVAILABLE", "Unavailable")],
)
def test_dashboards_of_other_services_find_their_own_names(code: str, said: str) -> None:
    metrics = Metrics()
    rpc = Rpc.of(f"/{TOKENS}/WatchAccessToken", RpcType.SERVER_STREAM)
    metrics.requests.recorder(rpc)(code, time.perf_counter())
    labels = {"grpc_service": TOKENS, "grpc_method": "WatchAccessToken", "grpc_type": "server_stream"}

    assert 1 == metrics.registry.get_sample_value(HANDLED, {**labels, "grpc_code": said})


def test_each_code_is_shown_before_the_first_request_ends_with_it() -> None:
    metrics = Metrics()
    metrics.requests.recorder(Rpc(TOKENS, "GetAccessToken"), ["OK", "UNAVAILABLE"])
    value = metrics.registry.get_sample_value

    assert 0 == value("wecom_broker_requests_total", {**GET, "code": "UNAVAILABLE"})
    assert {} == metrics.requests.counted()


def test_two_recorders_of_one_rpc_count_together() -> None:
    requests = Requests()
    took(requests, 0.1)
    took(requests, 0.1)

    assert {("GetAccessToken", "OK"): 2} == requests.counted()


def test_what_workers_publish_reads_as_if_one_process_had_counted_it() -> None:
    """The sum of what two workers publish is what one would show."""
    one, shared = Requests(), CollectorRegistry()
    published = Gauge(SHARED, "", SHARED_LABELS, registry=shared)
    for seconds, code, rpc in (
        (0.3, "OK", "SignPage"),
        (0.003, "NOT_FOUND", "SignPage"),
        (7, "OK", "CallApi"),
    ):
        took(one, seconds, code, rpc)
    one.publish(published)
    took(one, 0.3, "OK", "CallApi")
    # Again: a number that is published replaces the last one.
    one.publish(published)
    alone, together = CollectorRegistry(), CollectorRegistry()
    alone.register(one)
    together.register(MetricsOfWorkers(published))

    assert generate_latest(alone) == generate_latest(together)


def test_what_is_answered_at_once_ended_well_in_no_time() -> None:
    metrics = Metrics()
    took(metrics.requests, 0.2)
    repeats = metrics.requests.repeats(Rpc(TOKENS, "GetAccessToken"))
    value = metrics.registry.get_sample_value
    for ended in (4, 7):
        repeats.count += 3
        assert ended == value("wecom_broker_requests_total", {**GET, "code": "OK"})
        assert ended - 1 == value("wecom_broker_request_seconds_bucket", {**GET, "le": "0.0005"})
        assert ended == value("wecom_broker_request_seconds_count", GET)
        assert 0.2 == pytest.approx(value("wecom_broker_request_seconds_sum", GET), abs=0.1)
    assert {("GetAccessToken", "OK"): 7} == metrics.requests.counted()


def test_what_a_worker_answers_at_once_is_published() -> None:
    metrics, shared = Metrics(), Gauge(SHARED, "", SHARED_LABELS, registry=None)
    repeats = metrics.requests.repeats(Rpc(TOKENS, "GetAccessToken"))
    repeats.count += 3
    metrics.requests.publish(shared)

    [metric] = shared.collect()
    assert 3 == sum(sample.value for sample in metric.samples if sample.labels["number"] == "ended")
