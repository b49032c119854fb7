"""What each replica tells the others of itself, so that an operator sees the fleet from any of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from broker.domain.replica.clocks import MAX_CLOCK_OFFSET

BEAT_INTERVAL = timedelta(seconds=10)
"""How often a replica writes its report."""
SILENT_AFTER = 3 * BEAT_INTERVAL
KEPT = timedelta(minutes=10)
"""How long the report of a replica that says no more can be seen."""


@dataclass(frozen=True, slots=True)
class SealUse:
    """A seal key, and what it did on one replica since its start."""

    id: str
    seals: bool
    """Whether it is the first one, which seals."""
    configured: bool
    """False: records are sealed with it, and this replica cannot open them."""
    count: int
    """How many records it opened; how often it was missed."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Calls on one replica that met one remembered error."""

    scope: str
    since: datetime
    calls: int
    callers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """One replica as it saw itself at a moment."""

    name: str
    at: datetime
    version: str
    started_at: datetime
    obstacle: str
    """Why it is not serving; empty while it is."""
    wecom_healthy: bool
    wecom_error: str
    credentials: int
    seal_keys: tuple[SealUse, ...]
    clock_problem: str
    """Which of the clocks that it hears are wrong; empty = none."""
    certificates: Mapping[str, datetime]
    """When each TLS file's first certificate ends, by the key that names the file."""
    meetings: tuple[Meeting, ...] = ()
    fence: int = field(default=0, compare=False)
    """Which of the replica's reports it is: the largest number wins. 0 = it is not written."""

    def after(self, fence: int) -> "ReplicaReport":
        """Return it with its moment as its number, or with the next one if the clock was set back."""
        return replace(self, fence=max(int(self.at.timestamp() * 1000), fence + 1))

    @staticmethod
    def name_of(name: str) -> str:
        """Return the name of a replica's report in stores and notices."""
        return f"replica:{name}"


@dataclass(frozen=True, slots=True)
class SeenReplica:
    """A replica, and the last that is known of it."""

    name: str
    at: datetime
    report: ReplicaReport | None
    """None = it is sealed with a key that this replica does not have."""

    def is_silent(self, now: datetime) -> bool:
        """Return whether it should have reported again.

        A moment to come tells nothing of when it reported: its clock was ahead, and may be right by now.
        """
        return not -MAX_CLOCK_OFFSET <= now - self.at < SILENT_AFTER
