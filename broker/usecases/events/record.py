"""Events as entries of the log, and back."""

import json
from datetime import UTC, datetime

from broker.domain.corps import ShareKind
from broker.domain.events.event import Event, event_id
from broker.domain.events.log import Entry


def to_entry(event: Event) -> Entry:
    """Return the entry of an event; the log seals its payload."""
    payload = {
        "share_kind": event.share_kind or "",
        "agent_id": event.agent_id,
        "user_id": event.user_id,
        "change_type": event.change_type,
        "create_time": event.create_time.timestamp(),
        "receive_time": event.receive_time.timestamp(),
        "fields": dict(event.fields),
        "xml": event.xml,
        "corp_unknown": event.corp_unknown,
    }
    return Entry(event.app, event.corp_id, event.event_type, json.dumps(payload).encode())


def from_entry(entry: Entry) -> Event:
    """Return the event of an entry."""
    payload = json.loads(entry.payload)
    return Event(
        app=entry.app,
        corp_id=entry.corp_id,
        share_kind=ShareKind(payload["share_kind"]) if payload["share_kind"] else None,
        agent_id=payload["agent_id"],
        user_id=payload["user_id"],
        event_type=entry.event_type,
        change_type=payload["change_type"],
        create_time=datetime.fromtimestamp(payload["create_time"], UTC),
        receive_time=datetime.fromtimestamp(payload["receive_time"], UTC),
        fields=payload["fields"],
        xml=payload["xml"],
        corp_unknown=payload["corp_unknown"],
        event_id=event_id(entry.app, entry.position),
    )
