"""How the broker and what it depends on are doing."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

TRUSTED = timedelta(seconds=15)
"""How long bad news counts: after that nobody knows, and a caller may find out."""


@dataclass(slots=True)
class Dependency:
    """One thing that the broker needs."""

    name: str
    since: datetime
    healthy: bool = True
    last_error: str = ""
    last_seen: datetime | None = None

    def seen(self, now: datetime, error: str = "") -> None:
        """Note that it answered, or what kept it from answering."""
        healthy = not error
        if healthy != self.healthy:
            self.since, self.healthy = now, healthy
        self.last_seen = now
        if error:
            self.last_error = error

    def is_down(self, now: datetime) -> bool:
        """Tell whether it failed, and lately."""
        return not self.healthy and self.last_seen is not None and now - self.last_seen < TRUSTED


@dataclass(slots=True)
class ReplicaHealth:
    """The state of one replica."""

    started_at: datetime
    store: Dependency = field(init=False)
    wecom: Dependency = field(init=False)
    draining: bool = False

    def __post_init__(self) -> None:
        self.store = Dependency("store", self.started_at)
        self.wecom = Dependency("wecom", self.started_at)
