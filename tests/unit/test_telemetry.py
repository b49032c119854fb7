"""What operators see: logs that programs can read, figures with bounded labels, and never a secret."""

import json
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog

from broker.domain.corps import ShareKind
from broker.domain.errors import RateLimited, SecretRejected, StoreUnavailable, WecomUnavailable
from broker.domain.ports.observer import Damage, Durability
from broker.domain.replica.clocks import ClockComparison, Witness
from broker.domain.shares import AppShare
from broker.telemetry.logging import LOGGER, redact, set_up_logging
from broker.telemetry.metrics import Metrics
from broker.telemetry.observer import Telemetry
from broker.telemetry.requests import Rpc
from broker.telemetry.suites import SuiteTelemetry
from tests.kit.logs import own_logging
from tests.kit.memory.fake_clock import START, FakeClock

MARKER = "MarkerOfASecret"
ENDPOINT = "/cgi-bin/gettoken"


class Screen:
    """What a person or a program sees of the log."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._read = ""

    @property
    def text(self) -> str:
        self._read += self._capsys.readouterr().err
        return self._read

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def screen(capsys: pytest.CaptureFixture[str]) -> Iterator[Screen]:
    with own_logging():
        yield Screen(capsys)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(FakeClock())


# --- logs


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_only_what_is_at_least_of_the_level_is_logged(screen: Screen, level: str) -> None:
    set_up_logging(level, "json")
    log = structlog.get_logger(LOGGER)
    words = ["debug", "info", "warning", "error"]
    for word in words:
        getattr(log, word)("told")

    assert words[words.index(level) :] == [event["level"] for event in screen.events]


def test_a_json_line_is_one_event_with_its_fields(screen: Screen) -> None:
    set_up_logging("info", "json")
    structlog.get_logger(LOGGER).info("served", app="crm", corp_name="示例\n集团", count=3)
    (event,) = screen.events

    assert {
        "event": "served",
        "app": "crm",
        "corp_name": "示例\n集团",
        "count": 3,
        "level": "info",
    }.items() <= event.items()
    assert event["timestamp"].endswith("Z")


def test_a_line_for_people_has_the_event_and_its_fields(screen: Screen) -> None:
    set_up_logging("info", "console")
    structlog.get_logger(LOGGER).info("served", app="crm")

    assert "served" in screen.text
    assert "app=crm" in screen.text


def test_an_exception_is_one_json_line_with_its_traceback(screen: Screen) -> None:
    set_up_logging("info", "json")
    try:
        raise ValueError("odd")
    except ValueError as error:
        structlog.get_logger(LOGGER).error("failed", exc_info=error)
    (event,) = screen.events

    assert "ValueError: odd" in event["exception"]


def test_an_exception_for_people_is_its_traceback_without_the_values_of_variables(screen: Screen) -> None:
    set_up_logging("info", "console")
    held = f"{MARKER} in a variable"
    try:
        raise ValueError("odd")
    except ValueError as error:
        structlog.get_logger(LOGGER).error("failed", exc_info=error)
        logging.getLogger("some.library").exception("failed")

    assert 2 == screen.text.count("ValueError: odd")
    assert held not in screen.text
    assert "Remove `format_exc_info`" not in screen.text


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_library_s_log_comes_in_the_same_form(screen: Screen, form: str) -> None:
    set_up_logging("info", form)
    logging.getLogger("some.library").warning("retrying %s", "soon")

    assert "retrying soon" in screen.text
    if form == "json":
        assert "retrying soon" == screen.events[0]["event"]


def test_libraries_are_never_asked_for_their_debug_lines(screen: Screen) -> None:
    set_up_logging("debug", "json")
    logging.getLogger("some.library").debug("polling")

    assert [] == screen.events


def test_logging_set_up_twice_says_everything_once(screen: Screen) -> None:
    set_up_logging("info", "json")
    set_up_logging("info", "json")
    logging.getLogger("some.library").warning("once")

    assert 1 == len(screen.events)


SECRET_NAMES = [
    "access_token",
    "suite_access_token",
    "provider_access_token",
    "corpsecret",
    "suite_secret",
    "code",
    "js_code",
    "auth_code",
    "permanent_code",
    "suite_ticket",
    "user_ticket",
    "session_key",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize(
    "shape", ["https://qyapi/x?{}={}", "GET /x?a=1&{}={}&b=2 HTTP/1.1", "url='/x?{}={}'", "<x?{}={}> failed"]
)
def test_a_secret_in_a_query_string_is_cut_out(name: str, shape: str) -> None:
    told = redact(None, "", {"event": shape.format(name, MARKER)})["event"]

    assert MARKER not in told
    assert f"{name}=***" in told


@pytest.mark.parametrize(
    "text", ["errcode=40014", "corpid=ww1&agentid=5", "status code 200", "grpc_code: 5", "a=b", "no query"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert text == redact(None, "", {"event": text})["event"]


def test_what_follows_a_secret_stays() -> None:
    told = redact(None, "", {"event": f"/x?access_token={MARKER}&agentid=5"})["event"]

    assert "/x?access_token=***&agentid=5" == told


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_line_of_any_logger_shows_a_secret_of_a_query(screen: Screen, form: str) -> None:
    set_up_logging("debug", form)
    url = f"https://qyapi/cgi-bin/agent/get?access_token={MARKER}&agentid=5"
    logging.getLogger("some.library").warning("GET %s", url)
    structlog.get_logger(LOGGER).debug("called", url=url)
    try:
        raise OSError(url)
    except OSError as error:
        structlog.get_logger(LOGGER).error("failed", exc_info=error)
        logging.getLogger("some.library").exception("failed")

    assert MARKER not in screen.text
    assert 4 <= screen.text.count("***")


# --- what the broker tells


def test_an_unchanged_refresh_is_told_with_its_outcome(screen: Screen, telemetry: Telemetry) -> None:
    set_up_logging("info", "json")
    telemetry.refreshed("access_token:crm:own:ww0:1", "access_token", "rotated")
    (event,) = screen.events

    assert ("refreshed", "rotated", "info") == (event["event"], event["outcome"], event["level"])


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (SecretRejected("refused", errcode=40001, endpoint=ENDPOINT), "error"),
        (WecomUnavailable("away", endpoint=ENDPOINT), "warning"),
        (RateLimited("closed", timedelta(60), errcode=45009), "warning"),
    ],
)
def test_what_somebody_must_act_on_is_an_error_and_the_rest_a_warning(
    screen: Screen, telemetry: Telemetry, error: Any, level: str
) -> None:
    set_up_logging("info", "json")
    telemetry.refreshed("access_token:crm:own:ww0:1", "access_token", "failed", error)
    (event,) = screen.events

    assert (level, error.reason) == (event["level"], event["reason"])
    assert {f"wecom_{name}": value for name, value in error.metadata.items()}.items() <= event.items()


async def test_a_refusal_that_callers_meet_again_is_told_once_a_minute_and_counted_apart(
    screen: Screen,
) -> None:
    clock = FakeClock()
    telemetry = Telemetry(clock)
    set_up_logging("info", "json")
    name = "access_token:crm:own:ww0:1"
    first = SecretRejected("refused", errcode=40001, endpoint=ENDPOINT)
    telemetry.refreshed(name, "access_token", "failed", first)
    kept = SecretRejected("refused", errcode=40001, endpoint=ENDPOINT)
    kept.remembered_as, kept.kept_until = name, START + timedelta(hours=1)
    for _ in range(300):
        telemetry.refreshed(name, "access_token", "failed", kept)
        telemetry.refreshed("access_token:crm:corp_group:ww1:1", "access_token", "failed", kept)
        await clock.advance(timedelta(seconds=0.25))
    value = telemetry.metrics.registry.get_sample_value

    refused, *earlier = screen.events
    assert "refresh failed" == refused["event"]
    assert [("refused earlier", 0), ("refused earlier", 479)] == [
        (event["event"], event["not_logged_before"]) for event in earlier
    ]
    assert (name, "2026-03-02T09:00:00+00:00", "40001") == (
        earlier[0]["refused"],
        earlier[0]["next_try"],
        earlier[0]["wecom_errcode"],
    )
    outcomes = {"refused": 1, "remembered": 600, "failed": 0}
    assert outcomes == {
        outcome: value("wecom_broker_refreshes_total", {"kind": "access_token", "outcome": outcome})
        for outcome in outcomes
    }


def test_a_long_list_of_changed_shares_is_cut_and_counted(screen: Screen, telemetry: Telemetry) -> None:
    set_up_logging("info", "json")
    added = [AppShare(ShareKind.CORP_GROUP, f"ww{number}", 1) for number in range(50)]
    telemetry.shares_changed("crm", added, [])
    (event,) = screen.events

    assert (20, 50, 0) == (len(event["added"]), event["added_count"], event["removed_count"])


def test_background_work_that_failed_is_told_by_what_is_known_of_it(
    screen: Screen, telemetry: Telemetry
) -> None:
    set_up_logging("info", "json")
    telemetry.background_failed("listing", WecomUnavailable("away"))
    telemetry.background_failed("listing", KeyError("x"))
    known, unknown = screen.events

    assert ("warning", "WECOM_UNAVAILABLE") == (known["level"], known["reason"])
    assert "exception" not in known
    assert ("error", "KeyError") == (unknown["level"], unknown["problem"])
    assert "exception" in unknown


# --- vitals and figures


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("-1", "WeCom is busy (errcode -1)"),
        ("timeout", "WeCom did not answer in time"),
        ("connection", "WeCom cannot be reached"),
        ("protocol", "WeCom's answer cannot be understood"),
        ("http_502", "WeCom answered HTTP 502"),
    ],
)
def test_a_call_without_a_proper_answer_is_noted_of_wecom_in_words(
    telemetry: Telemetry, outcome: str, words: str
) -> None:
    telemetry.upstream_called(ENDPOINT, outcome, timedelta(seconds=1))

    assert not telemetry.replica_health.wecom.healthy
    assert words == telemetry.replica_health.wecom.last_error


@pytest.mark.parametrize("outcome", ["0", "40001", "40014", "45009", "http_429", "unknown"])
def test_any_answer_shows_that_wecom_is_there(telemetry: Telemetry, outcome: str) -> None:
    telemetry.upstream_called(ENDPOINT, "timeout", timedelta(seconds=5))
    telemetry.upstream_called(ENDPOINT, outcome, timedelta(seconds=0.1))

    assert telemetry.replica_health.wecom.healthy


def test_a_store_that_left_and_came_back_is_noted(telemetry: Telemetry) -> None:
    telemetry.store_lost(StoreUnavailable("Redis is away"))
    lost = telemetry.replica_health.store.healthy
    telemetry.store_back()

    assert (False, True) == (lost, telemetry.replica_health.store.healthy)
    assert "Redis is away" == telemetry.replica_health.store.last_error


def test_durable_writes_are_counted_by_what_is_known_of_them(telemetry: Telemetry) -> None:
    for outcome, problem in ((Durability.PROVEN, ""), (Durability.PROVEN, ""), (Durability.LATE, "late")):
        telemetry.durable_write_ended(outcome, problem)
    value = telemetry.metrics.registry.get_sample_value
    name = "wecom_broker_durable_writes_total"

    assert [2, 1, 0] == [value(name, {"outcome": outcome}) for outcome in Durability]


async def test_a_write_that_is_not_proven_is_told_every_ten_minutes_at_most(screen: Screen) -> None:
    clock = FakeClock()
    telemetry = Telemetry(clock)
    set_up_logging("info", "json")
    for minutes in (0, 5, 9, 10, 19, 20):
        at = START + timedelta(minutes=minutes)
        await clock.advance(at - clock.now())
        telemetry.durable_write_ended(Durability.LATE, f"in minute {minutes}")
        telemetry.durable_write_ended(Durability.PROVEN)

    assert ["in minute 0", "in minute 10", "in minute 20"] == [event["problem"] for event in screen.events]
    assert {"warning"} == {event["level"] for event in screen.events}


async def test_damage_is_counted_and_each_kind_told_every_ten_seconds_at_most(screen: Screen) -> None:
    clock = FakeClock()
    telemetry = Telemetry(clock)
    set_up_logging("info", "json")
    for _ in range(10):
        for _ in range(100):
            telemetry.damage_found(Damage.RECORD, ValueError("a is damaged"))
        telemetry.damage_found(Damage.EVENT, ValueError("b is damaged"))
        await clock.advance(timedelta(seconds=2))
    value = telemetry.metrics.registry.get_sample_value

    assert 1000 == value("wecom_broker_store_damage_total", {"damage": "record"})
    told = [(event["damage"], event["not_logged_before"]) for event in screen.events]
    assert [("record", 0), ("event", 0), ("record", 499), ("event", 4)] == told


async def test_lost_codes_of_a_suite_are_told_every_ten_seconds_at_most(screen: Screen) -> None:
    clock = FakeClock()
    telemetry = SuiteTelemetry(Metrics(), clock)
    set_up_logging("info", "json")
    for _ in range(10):
        for _ in range(100):
            telemetry.code_lost("market", "WeCom refused the code")
        telemetry.code_lost("tailored", "WeCom refused the code")
        await clock.advance(timedelta(seconds=2))

    told = [(event["app"], event["not_logged_before"]) for event in screen.events]
    assert [("market", 0), ("tailored", 0), ("market", 499), ("tailored", 4)] == told


def test_a_clock_that_is_not_believed_is_an_error(screen: Screen, telemetry: Telemetry) -> None:
    set_up_logging("info", "json")
    for seconds in (0.2, -59.9, 61):
        telemetry.store_clock_compared(timedelta(seconds=seconds))

    assert [("error", 61)] == [(event["level"], event["ahead_seconds"]) for event in screen.events]
    assert 61 == telemetry.metrics.registry.get_sample_value("wecom_broker_store_clock_offset_seconds")


def test_clocks_that_disagree_are_measured_each_time_and_logged_when_that_changes(
    screen: Screen, telemetry: Telemetry
) -> None:
    set_up_logging("info", "json")
    agreeing = ClockComparison({Witness.MACHINE: timedelta(0), Witness.STORE: timedelta(0)})
    wrong = ClockComparison({Witness.MACHINE: timedelta(seconds=-600), Witness.WECOM: timedelta(0)})
    for comparison in (agreeing, wrong, wrong, agreeing, agreeing):
        telemetry.clocks_compared(comparison)

    value = telemetry.metrics.registry.get_sample_value
    problem = "this replica goes by WeCom's clock: this machine's is 600 s behind"
    assert [("error", problem), ("warning", None)] == [
        (event["level"], event.get("problem")) for event in screen.events
    ]
    assert 0 == value("wecom_broker_clock_skew_seconds", {"clock": "machine"})

    telemetry.clocks_compared(wrong)

    assert -600 == value("wecom_broker_clock_skew_seconds", {"clock": "machine"})
    assert 0 == value("wecom_broker_clock_skew_seconds", {"clock": "store"})
    assert problem == telemetry.replica_health.clocks.problem


def test_calls_are_counted_by_endpoint_and_errcode(telemetry: Telemetry) -> None:
    for outcome in ("0", "0", "40001"):
        telemetry.upstream_called(ENDPOINT, outcome, timedelta(seconds=0.5))
    value = telemetry.metrics.registry.get_sample_value
    name = "wecom_broker_upstream_calls_total"

    assert 2 == value(name, {"endpoint": ENDPOINT, "errcode": "0"})
    assert 1 == value(name, {"endpoint": ENDPOINT, "errcode": "40001"})
    assert 1.5 == value("wecom_broker_upstream_seconds_sum", {"endpoint": ENDPOINT})


def test_refreshes_are_counted_without_the_credential_s_name(telemetry: Telemetry) -> None:
    for number in range(20):
        telemetry.refreshed(f"access_token:crm:own:ww{number}:1", "access_token", "rotated")
        telemetry.lease_waited(f"access_token:crm:own:ww{number}:1", timedelta(seconds=0.1))
    value = telemetry.metrics.registry.get_sample_value

    assert 20 == value("wecom_broker_refreshes_total", {"kind": "access_token", "outcome": "rotated"})
    assert 20 == value("wecom_broker_lease_wait_seconds_count")
    assert b"ww1" not in b"".join(telemetry.metrics.exposition())


def test_the_figures_are_in_prometheus_text_format(telemetry: Telemetry) -> None:
    telemetry.metrics.requests.recorder(Rpc("", "GetAccessToken"))("OK", time.perf_counter())
    text = b"".join(telemetry.metrics.exposition()).decode()

    assert "# TYPE wecom_broker_requests_total counter" in text
    assert 'wecom_broker_requests_total{code="OK",rpc="GetAccessToken"} 1.0' in text


def test_two_brokers_in_one_process_count_apart() -> None:
    one, other = Telemetry(FakeClock()), Telemetry(FakeClock())
    one.metrics.requests.recorder(Rpc("", "GetAccessToken"))("OK", time.perf_counter())

    assert b"GetAccessToken" not in b"".join(other.metrics.exposition())
