"""Refusals are recorded soon, and however many there are, at most one record a second is written."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.audit import AuditOutcome, AuditRecord, AuditTarget
from broker.usecases.audit.repeats import MAX_DISTINCT, PACE, SUMMED_FOR, Repeats
from tests.unit.domain.credentials import NOON

SECOND = timedelta(seconds=1)
DENIED = AuditRecord(
    NOON,
    AuditOutcome.REFUSED,
    caller="orders",
    peer="192.0.2.7",
    action="token.get",
    operation="GetAccessToken",
    target=AuditTarget("crm", "ww1"),
    reason="CALLER_NOT_ALLOWED",
    request_id="r1",
)
STRANGER = replace(DENIED, caller="", target=AuditTarget(), reason="UNAUTHENTICATED")


def written(repeats: Repeats, seconds: int, start: int = 0) -> list[AuditRecord]:
    """Return what leaves in these seconds, asked as often as a flood would ask."""
    moments = [NOON + (start + second) * SECOND for second in range(seconds)]
    return [record for moment in moments for _ in range(3) if (record := repeats.due(moment))]


def test_the_first_is_written_at_once() -> None:
    repeats = Repeats()
    repeats.add(DENIED)

    assert DENIED == repeats.due(NOON)
    assert repeats.due(NOON + SECOND) is None


def test_those_of_a_minute_are_one_record_with_the_newest_of_them() -> None:
    repeats = Repeats()
    repeats.add(DENIED)
    first = written(repeats, 1)
    for number in range(999):
        repeats.add(replace(DENIED, time=NOON + SECOND, request_id=f"r{number}"))

    assert [DENIED] == first
    assert [] == written(repeats, 59, start=1)
    assert [replace(DENIED, time=NOON + SECOND, request_id="r998", repeats=999)] == written(repeats, 60, 60)


def test_another_caller_action_target_or_reason_is_another_record() -> None:
    repeats = Repeats()
    others = [
        DENIED,
        replace(DENIED, caller="reports"),
        replace(DENIED, action="token.report"),
        replace(DENIED, operation="WatchAccessToken"),
        replace(DENIED, target=AuditTarget("crm", "ww2")),
        replace(DENIED, reason="CALLER_LIMITED"),
    ]
    for record in others:
        repeats.add(record)

    assert set(others) == set(written(repeats, 10))


def test_a_known_caller_s_addresses_are_one_and_strangers_are_told_apart_by_theirs() -> None:
    repeats = Repeats()
    for peer in ("192.0.2.7", "192.0.2.8"):
        repeats.add(replace(DENIED, peer=peer))
        repeats.add(replace(STRANGER, peer=peer))

    found = [(record.caller, record.peer, record.repeats) for record in written(repeats, 10)]
    assert [("", "192.0.2.7", 1), ("", "192.0.2.8", 1), ("orders", "192.0.2.8", 2)] == sorted(found)


@pytest.mark.slow
def test_a_flood_of_different_targets_is_bounded_and_every_one_is_counted() -> None:
    repeats = Repeats()
    for number in range(10_000):
        repeats.add(replace(DENIED, target=AuditTarget("crm", f"ww{number}")))
        repeats.add(replace(STRANGER, peer=f"2001:db8::{number:x}"))
    found = written(repeats, 10)
    found += repeats.rest()

    assert 10 == len(found[:10])
    assert len(found) <= 2 * (MAX_DISTINCT + 1)
    assert {"orders": 10_000, "": 10_000} == dict(_counted(found))


def test_one_caller_s_flood_delays_no_other_s_refusal() -> None:
    repeats = Repeats()
    for number in range(10_000):
        repeats.add(replace(DENIED, target=AuditTarget("crm", f"ww{number}")))
    written(repeats, 1)
    repeats.add(replace(DENIED, caller="reports"))

    assert "reports" in {record.caller for record in written(repeats, 2, start=1)}


def test_no_two_records_leave_within_a_second() -> None:
    repeats = Repeats()
    for number in range(100):
        repeats.add(replace(DENIED, caller=f"caller-{number}"))

    assert 5 == len(written(repeats, 5))
    assert timedelta(seconds=1) == PACE


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    repeats = Repeats()
    repeats.add(DENIED)
    assert [DENIED] == written(repeats, 1, start=8 * 3600)
    repeats.add(DENIED)
    repeats.add(STRANGER)

    assert {DENIED, STRANGER} == set(written(repeats, 2))


def test_what_is_over_is_forgotten() -> None:
    repeats = Repeats()
    for number in range(30):
        repeats.add(replace(DENIED, caller=f"caller-{number}"))
    written(repeats, 40)
    repeats.due(NOON + 40 * SECOND + SUMMED_FOR)

    assert {} == repeats._callers


def test_at_the_end_the_rest_is_written_whatever_the_time() -> None:
    repeats = Repeats()
    repeats.add(DENIED)
    first = written(repeats, 1)
    repeats.add(DENIED)
    repeats.add(DENIED)

    assert [1, 2] == [record.repeats for record in [*first, *repeats.rest()]]
    assert [] == list(repeats.rest())


def _counted(found: list[AuditRecord]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for record in found:
        counts[record.caller] += record.repeats
    return counts
