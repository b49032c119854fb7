"""What a doctor found."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    FAIL = "FAIL"
    """Callers get errors, or will."""
    WARN = "WARN"
    """Somebody should look."""
    OK = "OK"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    """An app, a replica, a group, or what the broker depends on."""
    problem: str
    """The cause, with the figures; of what is well, what was seen."""
    remedy: str = ""
    """What to do, as a command where there is one."""
