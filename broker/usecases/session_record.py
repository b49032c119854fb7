"""How a session is written into a store."""

import json
from datetime import UTC, datetime

from broker.domain.corps import ShareKind
from broker.domain.ports.store import Record
from broker.domain.secret import Secret
from broker.domain.sessions import Session


def to_record(session: Session) -> Record:
    """Return the record; only whoever knows the session's id finds it."""
    payload = {
        "app": session.app,
        "corp_id": session.corp_id,
        "user_id": session.user_id,
        "source_user_id": session.source_user_id,
        "converted": session.converted,
        "session_key": session.session_key.reveal(),
        "expires_at": session.expires_at.timestamp(),
        "share_kind": session.share_kind,
        "agent_id": session.agent_id,
        "listing_fence": session.listing_fence,
    }
    name = Session.name_of(session.session_id)
    return Record(name, 1, json.dumps(payload).encode(), session.expires_at)


def from_record(session_id: str, record: Record) -> Session:
    """Return the session in the record."""
    payload = json.loads(record.payload)
    kind = payload.get("share_kind")
    return Session(
        session_id,
        payload["app"],
        payload["corp_id"],
        payload["user_id"],
        payload["source_user_id"],
        payload["converted"],
        Secret(payload["session_key"]),
        datetime.fromtimestamp(payload["expires_at"], UTC),
        # A record of an older broker does not say.
        ShareKind(kind) if kind else None,
        payload.get("agent_id", 0),
        payload.get("listing_fence", 0),
    )
