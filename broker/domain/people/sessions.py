"""Mini-program sessions."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from broker.domain.corps import ShareKind
from broker.domain.secret import Secret
from broker.domain.shares import ShareList

NAMED = "session:"
"""How names of sessions begin; no session's id begins so."""


@dataclass(frozen=True, slots=True)
class Session:
    """A user's session; the key stays in the broker."""

    session_id: str
    app: str
    corp_id: str
    user_id: str
    source_user_id: str
    """The id before conversion; empty where nothing was converted."""
    converted: bool
    session_key: Secret
    expires_at: datetime
    share_kind: ShareKind | None = None
    """How the app reached the corp; None if the broker that kept the session did not record it."""
    agent_id: int = 0
    listing_fence: int = 0
    """The fence of the listing that had the share when the session was opened; 0 if there was none."""
    parent_corp_id: str = ""
    """The corp that shares a 代开发 app with the session's corp."""
    installed_at: datetime | None = None
    """When the suite was installed in the corp by which the session was opened; None for a self-built app."""
    identity: str = ""
    """The app's (`App.identity`)."""

    def fits(self, listing: ShareList) -> bool:
        """Return whether the listing has the share through which the session was opened."""
        if self.share_kind is None:
            return self.corp_id in listing.by_corp
        share = listing.find(self.corp_id, self.agent_id)
        # A share that was removed and given again is a different share.
        return share is not None and share.since <= self.listing_fence

    @staticmethod
    def name_of(session_id: str) -> str:
        """Return the record's name, hashed: somebody who reads the store's keys cannot use the session.

        A name stands for itself, so that a group can list names instead of ids.
        """
        if session_id.startswith(NAMED):
            return session_id
        return f"{NAMED}{hashlib.sha256(session_id.encode()).hexdigest()[:40]}"

    @staticmethod
    def group_of(app: str, corp_id: str) -> str:
        """Return the name of the group that lists a suite's sessions in a corp: they end when it cancels."""
        return f"sessions:{app}:{corp_id}"
