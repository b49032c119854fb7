"""A share list as a record of the store, and back."""

import json
from datetime import UTC, datetime, timedelta

from broker.domain.corps import ShareKind
from broker.domain.ports.store import Record
from broker.domain.shares import AppShare, ShareList

KEPT = timedelta(days=30)
"""A broker that was away for long starts from what it knew, and lists anew."""


def to_record(listing: ShareList) -> Record:
    """Write the listing down; the store seals the payload."""
    payload = {
        "listed_at": listing.listed_at.timestamp(),
        "shares": [[share.corp_id, share.agent_id, share.corp_name] for share in listing.shares],
        # Beside them: an older broker of the fleet reads three words of each.
        "since": [share.since for share in listing.shares],
    }
    return Record(listing.name, listing.fence, json.dumps(payload).encode(), listing.listed_at + KEPT)


def from_record(app: str, share_kind: ShareKind, record: Record) -> ShareList:
    """Read the listing of that app and kind."""
    payload = json.loads(record.payload)
    rows = payload["shares"]
    since = payload.get("since") or [0] * len(rows)
    shares = tuple(
        AppShare(share_kind, corp, agent, name, began)
        for (corp, agent, name), began in zip(rows, since, strict=True)
    )
    listed_at = datetime.fromtimestamp(payload["listed_at"], UTC)
    return ShareList(app, share_kind, record.fence, listed_at, shares)
