"""How the broker and what it depends on are doing."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

TRUSTED = timedelta(seconds=15)
"""How long a failure counts: after that the state is unknown, and a call may find it out."""


@dataclass(slots=True)
class Dependency:
    """Something that the broker depends on."""

    name: str
    since: datetime
    healthy: bool = True
    last_error: str = ""
    last_seen: datetime | None = None

    def seen(self, now: datetime, error: str = "") -> None:
        """Record that it answered, or why it did not."""
        healthy = not error
        if healthy != self.healthy:
            self.since, self.healthy = now, healthy
        self.last_seen = now
        if error:
            self.last_error = error

    def is_down(self, now: datetime) -> bool:
        """Return whether it failed recently."""
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
