"""How events are written into the entries of a log, and read again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import BeforeValidator, PlainSerializer

from broker.adapters.storage.payload import Moment, Number, Payload, RecordDamaged
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
    corp_id: str | None = None
    """With `event_type` also beside the sealed part, for the log. Older brokers do not write them."""
    event_type: str | None = None
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
    name = f"event {entry.app}:{entry.position}"
    fields = _EventPayload.fields_of(name, entry.payload)
    for field in ("corp_id", "event_type"):
        # Rights are checked by what stands beside the sealed part.
        if fields.pop(field) not in (None, getattr(entry, field)):
            raise RecordDamaged(name, f"{field}: is not the one that was sealed")
    return Event(
        app=entry.app,
        corp_id=entry.corp_id,
        event_type=entry.event_type,
        position=entry.position,
        **fields,
    )


EVENTS = EventCodec(_encode, _decode)
