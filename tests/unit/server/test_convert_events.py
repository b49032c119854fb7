"""Messages about events: what is malformed is refused by field."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from wecom_broker.v1 import event_service_pb2 as pb
from wecom_broker.v1 import target_pb2

from broker.domain.corps import ShareKind
from broker.domain.errors import InvalidRequest
from broker.domain.events.event import Event
from broker.server.grpc import event_messages as convert

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def refused_field(call: Any, *arguments: Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        call(*arguments)
    return refused.value.metadata["field"]


def subscribe(**fields: Any) -> pb.SubscribeEventsRequest:
    return pb.SubscribeEventsRequest(**fields)


@pytest.mark.parametrize("name", ["crm", "a", "0", "A.b_c-d", "x" * 64])
def test_a_group_belongs_to_its_caller(name: str) -> None:
    assert f"orders/{name}" == convert.group_name("orders", name)


@pytest.mark.parametrize("name", ["", "a/b", "/", "x" * 65, "a b", "a\n", ".a", "-a", "组", "a:b", "\0"])
def test_what_is_no_group_is_refused(name: str) -> None:
    assert "group" == refused_field(convert.group_name, "orders", name)


def test_types_are_asked_for_once_and_none_stands_for_all() -> None:
    assert frozenset() == convert.event_types([])
    assert frozenset({"text", "share_agent_change"}) == convert.event_types(
        ["text", "share_agent_change", "text"]
    )


@pytest.mark.parametrize("name", ["", " ", "a b", "text ", "x" * 65, "文", "a,b", "*"])
def test_a_type_that_is_none_is_named_by_its_position(name: str) -> None:
    assert "event_types[2]" == refused_field(convert.event_types, ["text", "image", name])


def test_lists_are_bounded() -> None:
    assert 100 == len(convert.event_types([f"t{number}" for number in range(100)]))
    assert "event_types" == refused_field(convert.event_types, ["text"] * 101)
    assert 1000 == len(convert.event_ids(["x"] * 1000))
    assert "event_ids" == refused_field(convert.event_ids, ["x"] * 1001)


@pytest.mark.parametrize(("given", "meant"), [(0, 100), (1, 1), (1000, 1000)])
def test_room_has_a_usual_size(given: int, meant: int) -> None:
    assert meant == convert.max_in_flight(given)


@pytest.mark.parametrize("given", [-1, 1001, 2**31 - 1, -(2**31)])
def test_room_that_is_none_is_refused(given: int) -> None:
    assert "max_in_flight" == refused_field(convert.max_in_flight, given)


def test_the_time_for_acknowledgements_has_a_usual_length() -> None:
    assert MINUTE == convert.ack_timeout(subscribe(), MINUTE)
    for seconds in (1, 3600):
        asked = subscribe(ack_timeout=Duration(seconds=seconds))
        assert timedelta(seconds=seconds) == convert.ack_timeout(asked, MINUTE)


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        (0, 0),
        (-1, 0),
        (0, 999_999_999),
        (3600, 1000),
        (7200, 0),
        (2**62, 0),
        (-(2**62), 0),
    ],
)
def test_a_time_for_acknowledgements_that_is_none_is_refused(seconds: int, nanos: int) -> None:
    asked = subscribe(ack_timeout=Duration(seconds=seconds, nanos=nanos))

    assert "ack_timeout" == refused_field(convert.ack_timeout, asked, MINUTE)


def test_without_a_replay_no_app_is_set_back() -> None:
    assert {} == convert.replay_from(subscribe(), ["crm"])


def test_a_time_sets_all_apps_back() -> None:
    position = f"{int(NOON.timestamp()) * 1000}-000000"

    assert {"crm": position, "hr": position} == convert.replay_from(
        subscribe(replay_from_time=NOON), ["crm", "hr"]
    )


def test_a_time_before_all_time_means_the_oldest() -> None:
    for seconds in (0, -1, -62_135_596_800):
        asked = subscribe(replay_from_time=Timestamp(seconds=seconds))
        assert {"crm": "0000000000000-000000"} == convert.replay_from(asked, ["crm"])


@pytest.mark.parametrize(("seconds", "nanos"), [(2**62, 0), (-(2**62), 0), (0, -1), (0, 2**31 - 1)])
def test_a_time_that_is_none_is_refused(seconds: int, nanos: int) -> None:
    asked = subscribe(replay_from_time=Timestamp(seconds=seconds, nanos=nanos))

    assert "replay_from_time" == refused_field(convert.replay_from, asked, ["crm"])


def test_an_id_sets_its_own_app_back() -> None:
    asked = subscribe(replay_from_event_id="hr:1772438401123-000007")

    assert {"hr": "1772438401123-000007"} == convert.replay_from(asked, ["crm", "hr"])


@pytest.mark.parametrize(
    "given", ["hr:1-1", "crm", "crm:", ":1-1", "crm:1", "crm:1-x", "crm:1-1-1", "1-1", "crm:١-1"]
)
def test_an_id_that_is_none_or_of_another_app_is_refused(given: str) -> None:
    assert "replay_from_event_id" == refused_field(
        convert.replay_from, subscribe(replay_from_event_id=given), ["crm"]
    )


def test_a_time_and_an_id_are_too_much() -> None:
    asked = subscribe(replay_from_time=NOON, replay_from_event_id="crm:1-1")

    assert "replay_from_event_id" == refused_field(convert.replay_from, asked, ["crm"])


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (None, target_pb2.SHARE_KIND_UNSPECIFIED),
        (ShareKind.OWN, target_pb2.SHARE_KIND_UNSPECIFIED),
        (ShareKind.CORP_GROUP, target_pb2.SHARE_KIND_CORP_GROUP),
        (ShareKind.SUPPLY_CHAIN, target_pb2.SHARE_KIND_SUPPLY_CHAIN),
    ],
)
def test_an_event_is_shown_whole(kind: ShareKind | None, shown: int) -> None:
    event = Event(
        app="crm",
        corp_id="ww1",
        share_kind=kind,
        agent_id=10**18 - 1,
        user_id="lisi",
        event_type="text",
        change_type="update_user",
        create_time=NOON,
        receive_time=NOON + MINUTE,
        fields={"Content": "中文"},
        xml="<xml/>",
        corp_unknown=True,
        position="1-1",
    )
    message = convert.event(event)

    assert shown == message.share_kind
    for name in (
        "app",
        "corp_id",
        "agent_id",
        "user_id",
        "event_type",
        "change_type",
        "xml",
        "corp_unknown",
        "event_id",
    ):
        assert getattr(event, name) == getattr(message, name)
    assert (NOON, NOON + MINUTE) == (
        message.create_time.ToDatetime(UTC),
        message.receive_time.ToDatetime(UTC),
    )
    assert {"Content": "中文"} == dict(message.fields)
