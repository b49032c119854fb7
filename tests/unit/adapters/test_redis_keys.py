"""`RedisKeys`: what a script touches together is in one slot; any notice can be read."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.adapters.redis.keys import PUBLISHED, RedisKeys
from broker.domain.ports.store import Notice, NoticeKind

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = RedisKeys("wecom-broker")


def test_record_and_lease_and_tally_of_a_name_share_a_slot() -> None:
    assert "wecom-broker:{crm}:record" == NAMES.record("crm")
    assert "wecom-broker:{crm}:lease" == NAMES.lease("crm")
    assert "wecom-broker:{crm}:tally" == NAMES.tally("crm")
    assert "wecom-broker:{crm}:names" == NAMES.names("crm")


def test_every_name_begins_with_the_prefix() -> None:
    names = [NAMES.record("a"), NAMES.lease("a"), NAMES.tally("a"), NAMES.names("a"), NAMES.channel]

    assert all(name.startswith("wecom-broker:") for name in names)


@unhurried
@given(kind=st.sampled_from(PUBLISHED), name=st.text(), fence=st.integers(0, 2**63))
def test_a_notice_that_was_written_down_is_read_again(kind: NoticeKind, name: str, fence: int) -> None:
    assert Notice(kind, name, fence) == NAMES.read_notice(NAMES.notice(kind, name, fence))


@pytest.mark.parametrize(
    "text",
    [
        *("", "committed", "committed x name", "stolen 5 name", "committed  5 name", "\ufffd"),
        # Forged: a number that no clock gives, other digits, and a connection, which no server publishes.
        *(f"appended {'9' * 400} shares:crm:corp_group", f"committed {'9' * 5000} a", "committed -5 a"),
        *("committed \u0665 a", "connected 0 ", "connected 5 a"),
    ],
)
def test_what_is_none_of_ours_is_no_notice(text: str) -> None:
    assert NAMES.read_notice(text) is None


@unhurried
@given(text=st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    NAMES.read_notice(text)
