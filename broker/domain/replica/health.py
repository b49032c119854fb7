"""How the broker and what it depends on are doing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from broker.domain.replica.clocks import ClockComparison

TRUSTED = timedelta(seconds=15)
"""How long a failure counts: after that the state is unknown, and a call may find it out."""

ANSWERS_AVERAGED = 10
"""About how many answers the average of their durations goes back."""


@dataclass(slots=True)
class Dependency:
    """Something that the broker depends on."""

    name: str
    since: datetime
    healthy: bool = True
    last_error: str = ""
    last_seen: datetime | None = None
    answers_in: timedelta | None = None
    """How long its last answers took; None if it was not asked."""

    def took(self, duration: timedelta) -> None:
        """Record how long an answer took."""
        before = duration if self.answers_in is None else self.answers_in
        self.answers_in = before + (duration - before) / ANSWERS_AVERAGED

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


class ReloadOutcome(StrEnum):
    """How a reload ended."""

    APPLIED = "applied"
    REFUSED = "refused"
    """The file has mistakes, and nothing has changed."""


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """What a broker runs on."""

    loaded_at: datetime
    """When what is in force was read."""
    outcome: ReloadOutcome = ReloadOutcome.APPLIED
    problems: tuple[str, ...] = ()
    """Of the last reload, if it was refused: a line for each mistake, the key first."""
    restart_needed: tuple[str, ...] = ()
    """The keys that were changed and wait for a restart."""


@dataclass(slots=True)
class ReplicaHealth:
    """The state of one replica."""

    started_at: datetime
    store: Dependency = field(init=False)
    wecom: Dependency = field(init=False)
    config: ConfigStatus = field(init=False)
    clocks: ClockComparison = field(default_factory=ClockComparison)
    draining: bool = False
    certificates: Mapping[str, datetime] = field(default_factory=dict)
    """When the first certificate of each TLS file ends, by the key that names the file."""

    def __post_init__(self) -> None:
        self.config = ConfigStatus(self.started_at)
        self.store = Dependency("store", self.started_at)
        self.wecom = Dependency("wecom", self.started_at)
