"""How an event is written into the log, and read again."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from broker.domain.corps import ShareKind
from broker.domain.events.event import Event
from broker.usecases.events.record import from_entry, to_entry

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


def test_an_event_comes_out_as_it_went_in() -> None:
    read = from_entry(replace(to_entry(EVENT), position=PLACE))

    assert replace(EVENT, event_id=f"crm:{PLACE}") == read


@pytest.mark.parametrize("kind", [None, *ShareKind])
def test_every_kind_of_share_is_kept(kind: ShareKind | None) -> None:
    assert kind is from_entry(to_entry(replace(EVENT, share_kind=kind))).share_kind


def test_a_time_elsewhere_is_the_same_moment() -> None:
    there = EVENT.create_time.astimezone(timezone(timedelta(hours=8)))
    read = from_entry(to_entry(replace(EVENT, create_time=there)))

    assert (EVENT.create_time, UTC) == (read.create_time, read.create_time.tzinfo)


def test_what_a_later_broker_added_is_no_hindrance() -> None:
    entry = to_entry(EVENT)
    later = json.dumps({**json.loads(entry.payload), "mood": "good"}).encode()

    assert EVENT.fields == from_entry(replace(entry, payload=later)).fields


def test_the_entry_shows_outside_of_its_payload_only_what_the_log_sorts_by() -> None:
    entry = to_entry(EVENT)

    assert (EVENT.app, EVENT.corp_id, EVENT.event_type, "") == (
        entry.app,
        entry.corp_id,
        entry.event_type,
        entry.position,
    )
