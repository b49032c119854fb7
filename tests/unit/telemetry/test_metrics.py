"""Metrics exist before their first event, follow the configuration, and show several processes as one."""

import platform
import time

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

import broker
from broker.domain.credentials import CredentialKind
from broker.domain.ports.observer import Damage
from broker.telemetry import zeros
from broker.telemetry.metrics import Metrics
from broker.telemetry.observer import Telemetry
from broker.telemetry.process import SHARED_CPU, cpu_of_workers
from tests.kit.memory.fake_clock import FakeClock

REFUSED = "wecom_broker_callers_refused_total"


def test_the_build_and_the_process_are_shown() -> None:
    metrics = Metrics()
    value = metrics.registry.get_sample_value
    (build,) = metrics.build_info.collect()[0].samples

    assert (broker.__version__, platform.python_version()) == (
        build.labels["version"],
        build.labels["python"],
    )
    assert 0 < value("process_resident_memory_bytes")
    assert value("process_open_fds") < value("process_max_fds")
    assert time.time() - 86400 < value("process_start_time_seconds") <= time.time()


def test_what_no_configuration_changes_is_shown_before_it_happens() -> None:
    value = Telemetry(FakeClock()).metrics.registry.get_sample_value

    for damage in Damage:
        assert 0 == value("wecom_broker_store_damage_total", {"damage": damage})
    for kind in CredentialKind:
        assert 0 == value("wecom_broker_refreshes_total", {"kind": kind, "outcome": "failed"})
    assert 0 == value("wecom_broker_config_reloads_total", {"outcome": "refused"})
    assert 0 == value(REFUSED, {"caller": "", "reason": "UNAUTHENTICATED"})


def test_what_is_configured_is_shown_before_it_happens() -> None:
    metrics = Metrics()
    value = metrics.registry.get_sample_value
    zeros.expect_callers(metrics, ["orders"])
    zeros.expect_callbacks(metrics, ["crm"])
    zeros.expect_suites(metrics, ["market"])
    zeros.expect_endpoints(metrics, ["/cgi-bin/gettoken"])

    assert 0 == value(REFUSED, {"caller": "orders", "reason": "CALLER_LIMITED"})
    assert 0 == value("wecom_broker_callbacks_total", {"app": "crm", "outcome": "signature"})
    assert 0 == value("wecom_broker_exchanges_total", {"app": "market", "outcome": "lost"})
    calls = {"endpoint": "/cgi-bin/gettoken", "errcode": "timeout"}
    assert 0 == value("wecom_broker_upstream_calls_total", calls)


def test_a_gauge_of_what_there_is_now_forgets_what_was() -> None:
    metrics = Metrics()
    metrics.show(metrics.app_shares, {("crm", "corp_group"): 7, ("oa", "corp_group"): 1})
    metrics.show(metrics.app_shares, {("crm", "corp_group"): 8})
    shown = {sample.labels["app"]: sample.value for sample in metrics.app_shares.collect()[0].samples}

    assert {"crm": 8} == shown


def test_metrics_are_measured_when_they_are_shown() -> None:
    metrics = Metrics()
    metrics.update_by(lambda: metrics.watchers.set(5))

    assert "\nwecom_broker_watchers 5.0\n" in b"".join(metrics.exposition()).decode()


def test_the_time_of_all_workers_is_one_counter() -> None:
    shared = GaugeMetricFamily(SHARED_CPU, "", labels=["worker"])
    shared.add_metric(["1"], 2.5)
    shared.add_metric(["2"], 0.5)
    (shown,) = cpu_of_workers(shared)

    assert isinstance(shown, CounterMetricFamily)
    assert [("process_cpu_seconds_total", 3.0)] == [(each.name, each.value) for each in shown.samples]
