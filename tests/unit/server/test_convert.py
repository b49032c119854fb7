"""What is malformed is refused by field, and lists are paged so that nothing is lost or shown twice."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st
from wecom_broker.v1.target_pb2 import SHARE_KIND_CORP_GROUP, SHARE_KIND_SUPPLY_CHAIN
from wecom_broker.v1.target_pb2 import Target as TargetMessage

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKind, Freshness
from broker.domain.errors import InvalidRequest
from broker.server.grpc import admin_messages, messages
from broker.server.grpc.messages import LARGEST_LIST
from broker.usecases.credentials.reports import ReportOutcome
from tests.unit.domain.credentials import NOON, credential


def field_of(refused: pytest.ExceptionInfo[InvalidRequest]) -> str:
    return refused.value.metadata["field"]


def refused_field(convert_: Callable[[], object]) -> str:
    """Return the field that is refused; "" if none is."""
    try:
        convert_()
    except InvalidRequest as error:
        return error.metadata["field"]
    return ""


def unknown_kind(number: int) -> Any:  # a newer client may send one
    return number


# --- targets


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (TargetMessage(app="crm"), Target("crm")),
        (TargetMessage(app="crm", corp_id="ww1"), Target("crm", "ww1")),
        (TargetMessage(app="c.r-m_1", corp_id="wpA_b-C"), Target("c.r-m_1", "wpA_b-C")),
        (TargetMessage(app="crm", share_kind=SHARE_KIND_CORP_GROUP), Target("crm", "", ShareKind.CORP_GROUP)),
        (
            TargetMessage(app="crm", share_kind=SHARE_KIND_SUPPLY_CHAIN),
            Target("crm", "", ShareKind.SUPPLY_CHAIN),
        ),
        (TargetMessage(app="crm", agent_id=2**63 - 1), Target("crm", "", None, 2**63 - 1)),
        (TargetMessage(app="a" * 64, corp_id="w" * 64), Target("a" * 64, "w" * 64)),
    ],
)
def test_a_target_is_read(message: TargetMessage, expected: Target) -> None:
    assert expected == messages.target(message)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (TargetMessage(), "target.app"),
        (TargetMessage(app=" crm"), "target.app"),
        (TargetMessage(app="crm\n"), "target.app"),
        (TargetMessage(app="-crm"), "target.app"),
        (TargetMessage(app="应用"), "target.app"),
        (TargetMessage(app="a" * 65), "target.app"),
        (TargetMessage(app="crm", corp_id="ww 1"), "target.corp_id"),
        (TargetMessage(app="crm", corp_id="*"), "target.corp_id"),
        (TargetMessage(app="crm", corp_id="ww1\n"), "target.corp_id"),
        (TargetMessage(app="crm", corp_id="w" * 65), "target.corp_id"),
        (TargetMessage(app="crm", agent_id=-1), "target.agent_id"),
        (TargetMessage(app="crm", agent_id=-(2**63)), "target.agent_id"),
        (TargetMessage(app="crm", share_kind=unknown_kind(3)), "target.share_kind"),
        (TargetMessage(app="crm", share_kind=unknown_kind(-1)), "target.share_kind"),
    ],
)
def test_a_malformed_target_names_its_field(message: TargetMessage, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        messages.target(message)
    assert field == field_of(refused)


@given(st.text(), st.text())
def test_what_a_target_held_is_not_repeated_to_the_caller(app: str, corp_id: str) -> None:
    marker = "NotToBeRepeated!"
    with pytest.raises(InvalidRequest) as refused:
        messages.target(TargetMessage(app=marker + app, corp_id=corp_id))
    assert marker not in str(refused.value) + str(refused.value.metadata)


# --- spans


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Duration(), timedelta(0)),
        (Duration(seconds=60), timedelta(seconds=60)),
        (Duration(nanos=500_000_000), timedelta(seconds=0.5)),
        (Duration(seconds=315_576_000_000), timedelta(seconds=315_576_000_000)),
    ],
)
def test_a_least_life_is_read(message: Duration, expected: timedelta) -> None:
    assert expected == messages.min_ttl(message)


@pytest.mark.parametrize(
    "message",
    [
        Duration(seconds=-1),
        Duration(nanos=-1),
        Duration(seconds=1, nanos=-1),
        Duration(seconds=-1, nanos=1),
        Duration(seconds=2**63 - 1),
        Duration(seconds=-(2**63)),
        Duration(seconds=10**15),
        Duration(nanos=-(2**31)),
    ],
    ids=lambda message: f"{message.seconds}s{message.nanos}ns",
)
def test_a_least_life_that_is_none_names_its_field(message: Duration) -> None:
    with pytest.raises(InvalidRequest) as refused:
        messages.min_ttl(message)
    assert "min_ttl" == field_of(refused)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_any_span_is_a_life_or_refused_by_field(seconds: int, nanos: int) -> None:
    message = Duration(seconds=seconds, nanos=nanos)

    assert refused_field(lambda: messages.min_ttl(message)) in ("", "min_ttl")


# --- pages


def page(items: list[str], size: int = 0, token: str = "") -> tuple[list[str], str]:
    shown, following = messages.page(
        items, lambda item: item, lambda item: StringValue(value=item), size, token
    )
    return [message.value for message in shown], following


def numbered(count: int) -> list[str]:
    return [f"{number:05d}" for number in range(count)]


@pytest.mark.parametrize(
    ("count", "size", "shown"),
    [
        (0, 0, 0),
        (5, 0, 5),
        (100, 0, 100),
        (101, 0, 100),
        (5, 2, 2),
        (5, 5, 5),
        (2000, 1001, 1000),
        (2000, 2**31 - 1, 1000),
    ],
)
def test_a_page_has_the_size_asked_for_within_limits(count: int, size: int, shown: int) -> None:
    items, token = page(numbered(count), size)

    assert shown == len(items)
    assert bool(token) is (shown < count)


def test_a_page_ends_before_it_grows_larger_than_a_message_may_be() -> None:
    items = [f"{number:02d}" + "x" * (LARGEST_LIST // 4) for number in range(7)]
    found: list[list[str]] = []
    token = ""
    while not found or token:
        shown, token = page(items, 1000, token)
        found.append(shown)

    assert [items[:3], items[3:6], items[6:]] == found


def test_one_item_is_on_a_page_however_large_it_is() -> None:
    items = ["1" + "x" * 2 * LARGEST_LIST, "2"]
    shown, token = page(items)

    assert items[:1] == shown
    assert (items[1:], "") == page(items, token=token)


@pytest.mark.parametrize("size", [-1, -(2**31)])
def test_a_negative_page_size_names_its_field(size: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        page(numbered(5), size)
    assert "page_size" == field_of(refused)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "====",
        "not base64",
        "é",
        "企业",
        "a" * 5,
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
        "\0",
        "\ud7ff",
    ],
    ids=ascii,
)
def test_a_token_that_the_broker_never_gave_names_its_field(token: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        page(numbered(5), 2, token)
    assert "page_token" == field_of(refused)


@given(st.text())
def test_any_token_gives_a_page_or_is_refused_by_field(token: str) -> None:
    assert refused_field(lambda: page(numbered(5), 2, token)) in ("", "page_token")


def test_a_token_behind_the_last_item_gives_an_empty_page() -> None:
    behind = base64.urlsafe_b64encode(b"zzz").decode()

    assert ([], "") == page(numbered(5), 2, behind)


@given(st.sets(st.text(st.characters(codec="utf-8"), min_size=1)), st.integers(1, 5))
def test_pages_together_are_the_list(names: set[str], size: int) -> None:
    items = sorted(names)
    seen: list[str] = []
    token = ""
    while True:
        shown, token = page(items, size, token)
        seen += shown
        if not token:
            break

    assert items == seen


@pytest.mark.slow
@given(st.data(), st.sets(st.integers(0, 50)), st.integers(1, 4))
def test_what_stays_in_a_list_is_shown_once_whatever_comes_and_goes(
    data: st.DataObject, numbers: set[int], size: int
) -> None:
    present = {f"{number:05d}" for number in numbers}
    throughout, seen, token = set(present), [], ""
    while True:
        shown, token = page(sorted(present), size, token)
        seen += shown
        if not token:
            break
        gone = data.draw(st.sets(st.sampled_from(sorted(present)))) if present else set()
        present = (present - gone) | {
            f"{number:05d}" for number in data.draw(st.sets(st.integers(0, 50), max_size=3))
        }
        throughout -= gone

    assert len(set(seen)) == len(seen)
    assert throughout <= set(seen)


# --- what goes out


def test_a_token_s_message_has_all_that_a_caller_needs() -> None:
    message = messages.access_token(credential())

    assert ("token-of-the-child", "ww1child", 1000010, 7) == (
        message.value,
        message.corp_id,
        message.agent_id,
        message.generation,
    )
    assert NOON + timedelta(hours=2) == message.expire_time.ToDatetime(NOON.tzinfo)


def test_every_word_of_the_inside_has_one_outside() -> None:
    assert set(ReportOutcome) == set(messages.OUTCOMES)
    assert set(Freshness) == set(admin_messages.STATES)
    assert set(CredentialKind) == set(admin_messages.KINDS)
    assert set(ShareKind) == set(messages.SHARE_KINDS_OUT)


def test_every_share_kind_that_comes_in_goes_out_again() -> None:
    for number, kind in messages.SHARE_KINDS.items():
        assert kind is None or number == messages.SHARE_KINDS_OUT[kind]
