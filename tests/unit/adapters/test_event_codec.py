"""How an event is written into the log, and read again."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from broker.adapters.storage.event_codec import EVENTS
from broker.adapters.storage.payload import RecordDamaged
from broker.domain.corps import ShareKind
from broker.domain.events.event import Event
from broker.domain.events.log import Entry

EVENT = Event(
    app="crm",
    corp_id="ww1child000000001",
    share_kind=ShareKind.CORP_GROUP,
    agent_id=2**62,
    user_id="lisi",
    event_type="change_contact",
    change_type="update_user",
    create_time=datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC),
    receive_time=datetime(2026, 3, 2, 8, 0, 1, 123456, tzinfo=UTC),
    fields={"Content": '中文 \n"<>& \U0001f600', "": "", "A.B": "1,2"},
    xml="<xml>\U0001f600</xml>",
    corp_unknown=True,
)
PLACE = "1772438401123-000007"
PAYLOAD = (
    b'{"share_kind": "corp_group", "agent_id": 4611686018427387904, "user_id": "lisi",'
    b' "change_type": "update_user", "create_time": 1772438401.0, "receive_time": 1772438401.123456,'
    b' "fields": {"Content": "\\u4e2d\\u6587 \\n\\"<>& \\ud83d\\ude00", "": "", "A.B": "1,2"},'
    b' "xml": "<xml>\\ud83d\\ude00</xml>", "corp_unknown": true}'
)
"""What a broker of 1.0 wrote for it."""
TEXT = (None, 5, True, [], {})
MOMENT = (None, "1772438401", True, [], -1, 1e12, float("nan"), float("inf"))
DAMAGE: dict[str, Sequence[object]] = {
    "share_kind": (5, True, [], {}, "internal", 0, False),
    "agent_id": (None, "5", 1.5, True, 2**70, -(2**70), [], float("nan")),
    "user_id": TEXT,
    "change_type": TEXT,
    "create_time": MOMENT,
    "receive_time": MOMENT,
    "fields": (None, [], "x", {"Content": 5}),
    "xml": TEXT,
    "corp_unknown": (None, 0, 1, "true", []),
}


def changed(**fields: object) -> Entry:
    """Return the entry with other fields in its payload."""
    entry = EVENTS.encode(EVENT)
    return replace(entry, payload=json.dumps({**json.loads(entry.payload), **fields}).encode())


def test_an_event_comes_out_as_it_went_in() -> None:
    read = EVENTS.decode(replace(EVENTS.encode(EVENT), position=PLACE))

    assert replace(EVENT, position=PLACE) == read
    assert f"crm:{PLACE}" == read.event_id


@pytest.mark.parametrize("field", ["corp_id", "event_type"])
def test_an_event_under_another_corp_or_type_is_damage(field: str) -> None:
    """Rights are checked by what stands beside the sealed part."""
    with pytest.raises(RecordDamaged, match=field):
        EVENTS.decode(replace(EVENTS.encode(EVENT), position=PLACE, **{field: "ww2child000000002"}))


def test_what_is_written_is_what_older_brokers_read() -> None:
    written = json.loads(EVENTS.encode(EVENT).payload)
    names = {name: written.pop(name) for name in ("corp_id", "event_type")}  # they ignore these

    assert {"corp_id": EVENT.corp_id, "event_type": EVENT.event_type} == names
    assert PAYLOAD == json.dumps(written).encode()
    assert b'"share_kind": ""' in EVENTS.encode(replace(EVENT, share_kind=None)).payload


@pytest.mark.parametrize("kind", [None, *ShareKind])
def test_every_kind_of_share_is_kept(kind: ShareKind | None) -> None:
    assert kind is EVENTS.decode(EVENTS.encode(replace(EVENT, share_kind=kind))).share_kind


def test_a_time_elsewhere_is_the_same_moment() -> None:
    there = EVENT.create_time.astimezone(timezone(timedelta(hours=8)))
    read = EVENTS.decode(EVENTS.encode(replace(EVENT, create_time=there)))

    assert (EVENT.create_time, UTC) == (read.create_time, read.create_time.tzinfo)


def test_what_a_later_broker_added_is_no_hindrance() -> None:
    assert EVENT == EVENTS.decode(changed(mood="good"))


def test_the_damage_table_has_every_field() -> None:
    assert DAMAGE.keys() == json.loads(PAYLOAD).keys()


@pytest.mark.parametrize(("field", "damage"), [(field, one) for field in DAMAGE for one in DAMAGE[field]])
def test_a_field_of_a_wrong_type_or_out_of_range_is_damage(field: str, damage: object) -> None:
    with pytest.raises(RecordDamaged, match=f"event crm:{PLACE} is damaged: {field}"):
        EVENTS.decode(replace(changed(**{field: damage}), position=PLACE))


@pytest.mark.parametrize("field", DAMAGE)
def test_a_missing_field_is_damage(field: str) -> None:
    left = {name: value for name, value in json.loads(PAYLOAD).items() if name != field}
    with pytest.raises(RecordDamaged, match=f"{field}: missing"):
        EVENTS.decode(replace(EVENTS.encode(EVENT), payload=json.dumps(left).encode()))


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{", b"[]", b"null", b'{"xml": "\\ud800"}'])
def test_what_is_no_payload_is_damage(payload: bytes) -> None:
    with pytest.raises(RecordDamaged):
        EVENTS.decode(replace(EVENTS.encode(EVENT), payload=payload))


def test_the_entry_shows_outside_of_its_payload_only_what_the_log_sorts_by() -> None:
    entry = EVENTS.encode(EVENT)

    assert (EVENT.app, EVENT.corp_id, EVENT.event_type, "") == (
        entry.app,
        entry.corp_id,
        entry.event_type,
        entry.position,
    )
