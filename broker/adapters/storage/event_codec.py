"""How events are written into the entries of a log, and read again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import BeforeValidator, PlainSerializer

from broker.adapters.storage.payload import Moment, Number, Payload
from broker.domain.corps import ShareKind
from broker.domain.events.event import Event
from broker.domain.events.log import Entry

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class EventCodec(Generic[Item]):
    """Encode items of one type into unsealed entries, and decode them."""

    encode: Callable[[Item], Entry]
    decode: Callable[[Entry], Item]
    """Raises `RecordDamaged`."""


class _EventPayload(Payload):
    share_kind: Annotated[
        ShareKind | None,
        BeforeValidator(lambda given: None if given == "" else given),
        PlainSerializer(lambda kind: kind or ""),
    ]
    agent_id: Number
    user_id: str
    change_type: str
    create_time: Moment
    receive_time: Moment
    fields: dict[str, str]
    xml: str
    corp_unknown: bool


def _encode(event: Event) -> Entry:
    payload = _EventPayload.model_validate(event, from_attributes=True)
    return Entry(event.app, event.corp_id, event.event_type, payload.to_bytes())


def _decode(entry: Entry) -> Event:
    return Event(
        app=entry.app,
        corp_id=entry.corp_id,
        event_type=entry.event_type,
        position=entry.position,
        **_EventPayload.fields_of(f"event {entry.app}:{entry.position}", entry.payload),
    )


EVENTS = EventCodec(_encode, _decode)
