"""Mini-program sessions."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from broker.domain.secret import Secret


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

    @staticmethod
    def name_of(session_id: str) -> str:
        """Return the record's name: who reads the store's keys cannot use a session."""
        return f"session:{hashlib.sha256(session_id.encode()).hexdigest()[:40]}"
