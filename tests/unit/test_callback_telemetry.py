"""What operators see of callbacks and events: bounded labels, lags that go back, and children told once."""

import io
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import structlog

from broker.domain.events.log import Lag
from broker.domain.events.receiver import ReceiverForm
from broker.telemetry.logging import LOGGER, set_up_logging
from broker.telemetry.observer import MAX_RECEIVERS_REMEMBERED, Telemetry
from tests.kit.memory.fake_clock import START, FakeClock


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(FakeClock())


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger(LOGGER)
    before = root.level, root.handlers[:], ours.level
    set_up_logging("debug", "json")
    written = io.StringIO()
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    ours.setLevel(before[2])
    structlog.reset_defaults()


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.metrics.registry.get_sample_value(f"wecom_broker_{name}", labels)


def lag(group: str, count: int, dead: int = 0, oldest: datetime | None = None) -> Lag:
    return Lag("crm", group, count, dead, oldest)


def test_callbacks_are_counted_by_app_and_outcome_and_timed_together(telemetry: Telemetry) -> None:
    for outcome, seconds in (("accepted", 0.002), ("accepted", 0.2), ("signature", 0.001)):
        telemetry.callback_ended("crm", outcome, timedelta(seconds=seconds))

    assert 2 == value(telemetry, "callbacks_total", app="crm", outcome="accepted")
    assert 1 == value(telemetry, "callbacks_total", app="crm", outcome="signature")
    assert 3 == value(telemetry, "callback_seconds_count")
    assert 0.203 == pytest.approx(value(telemetry, "callback_seconds_sum"))
    assert 2 == value(telemetry, "callback_seconds_bucket", le="0.0025")


def test_deliveries_are_counted_by_whether_they_are_the_first(telemetry: Telemetry) -> None:
    for attempts in (0, 0, 1, 7):
        telemetry.event_delivered("crm", "orders", attempts)

    assert 2 == value(telemetry, "events_delivered_total", app="crm", group="orders", again="no")
    assert 2 == value(telemetry, "events_delivered_total", app="crm", group="orders", again="yes")


def test_a_lag_is_how_many_how_old_and_how_many_dead(telemetry: Telemetry) -> None:
    telemetry.groups_lag([lag("orders", 5, dead=2, oldest=START - timedelta(seconds=90)), lag("idle", 0)])

    shown = [value(telemetry, name, app="crm", group="orders") for name in ("event_lag", "event_lag_seconds")]
    assert [5, 90] == shown
    assert 2 == value(telemetry, "dead_events", app="crm", group="orders")
    assert 0 == value(telemetry, "event_lag_seconds", app="crm", group="idle")


def test_a_clock_that_is_behind_shows_no_negative_age(telemetry: Telemetry) -> None:
    telemetry.groups_lag([lag("orders", 1, oldest=START + timedelta(seconds=5))])

    assert 0 == value(telemetry, "event_lag_seconds", app="crm", group="orders")


def test_a_group_that_is_gone_lags_no_more(telemetry: Telemetry) -> None:
    telemetry.groups_lag([lag("orders", 5, dead=2, oldest=START - timedelta(seconds=90)), lag("other", 1)])
    telemetry.groups_lag([lag("other", 1)])

    for name in ("event_lag", "event_lag_seconds", "dead_events"):
        assert not value(telemetry, name, app="crm", group="orders")
    assert 1 == value(telemetry, "event_lag", app="crm", group="other")


def test_groups_that_come_and_go_leave_no_series_behind(telemetry: Telemetry) -> None:
    def series() -> int:
        return b"".join(telemetry.metrics.exposition()).count(b'group="')

    telemetry.groups_lag([lag("orders", 1)])
    telemetry.event_delivered("crm", "orders", 0)
    before = series()
    for number in range(1000):
        telemetry.groups_lag([lag("orders", 1), lag(f"made-up-{number}", 1)])
        telemetry.event_delivered("crm", f"made-up-{number}", 0)
    telemetry.groups_lag([lag("orders", 1)])

    assert before == series()
    assert 1 == value(telemetry, "events_delivered_total", app="crm", group="orders", again="no")


def test_a_child_that_callbacks_are_sealed_for_is_told_once(telemetry: Telemetry, log: io.StringIO) -> None:
    for _ in range(3):
        for corp_id in ("ww1", "ww2"):
            telemetry.callback_addressed("crm", ReceiverForm.CHILD, corp_id)
    telemetry.callback_addressed("orders", ReceiverForm.CHILD, "ww1")

    assert 3 == log.getvalue().count("callbacks are sealed for")
    assert 6 == value(telemetry, "callback_receivers_total", app="crm", form="child")


@pytest.mark.parametrize("form", ReceiverForm)
def test_each_form_is_counted_and_told_and_a_documented_one_once_for_all_receivers(
    telemetry: Telemetry, log: io.StringIO, form: ReceiverForm
) -> None:
    for number in range(10):
        telemetry.callback_addressed("market", form, f"wp{number}")

    assert 10 == value(telemetry, "callback_receivers_total", app="market", form=form)
    told = log.getvalue().count(f'"form": "{form}"')
    assert (1 if form.is_documented else 10) == told


@pytest.mark.slow
def test_only_so_many_children_are_remembered(telemetry: Telemetry) -> None:
    for number in range(MAX_RECEIVERS_REMEMBERED + 10):
        telemetry.callback_addressed("crm", ReceiverForm.CHILD, f"ww{number}")

    assert MAX_RECEIVERS_REMEMBERED == len(telemetry._sealed_for)
