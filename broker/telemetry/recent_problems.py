"""The last problems of this replica: what passes, and leaves no state that could be looked at."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from broker.domain.ports.clock import Clock

MOST = 50
LONGEST = 300
"""Characters of what is kept of a subject or a detail: others write them."""
LATELY = timedelta(minutes=15)
"""How long a problem that came back no more is told of."""


class ProblemKind(StrEnum):
    """What went wrong."""

    CALLBACK = "callback"
    """Something was posted to a callback URL, and refused."""
    CALLER = "caller"
    """A caller has no right, no identity, or asks too often."""
    FETCH = "fetch"
    """A credential was not fetched."""
    SHARE = "share"
    """Shares ended, and no event of WeCom said so."""
    STORE = "store"
    """The store became unavailable."""
    DAMAGE = "damage"
    """The store holds what this broker cannot use: sealed with an unknown key, or not written by a broker."""
    READINESS = "readiness"
    """The replica could serve no more."""
    BACKGROUND = "background"
    """Work in the background failed."""


@dataclass(slots=True)
class RecentProblem:
    """One of them, and how often it came without a quarter of an hour between two."""

    kind: ProblemKind
    subject: str
    """An app, a caller or what else it concerns; empty = a stranger, or the replica itself."""
    detail: str
    first_at: datetime
    last_at: datetime
    count: int = 0


class RecentProblems:
    """Keep the last 50 that differ; a repeat counts, and comes to the front."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[tuple[ProblemKind, str, str], RecentProblem] = {}

    def note(self, kind: ProblemKind, subject: str, detail: str, count: int = 1) -> None:
        """Keep it, or count it with those like it; of more than 50 the one that is over for longest goes.

        What did not come back for a quarter of an hour is over: it is counted anew.
        """
        now = self._clock.now()
        name = kind, subject[:LONGEST], detail[:LONGEST]
        found = self._known.pop(name, None)
        # The clock may have been set back since.
        if found is None or abs(now - found.last_at) >= LATELY:
            found = RecentProblem(*name, now, now)
        found.first_at, found.last_at = min(found.first_at, now), now
        found.count += count
        self._known[name] = found
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def newest(self) -> list[RecentProblem]:
        """Return them, the last first."""
        return list(reversed(self._known.values()))
