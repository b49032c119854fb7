"""The event log's contract: durable, shared by all replicas, read by groups whose members share the work.

Every method raises `StoreUnavailable` when the store is unavailable, and nothing else. Each app has one log.
A *position* is an entry's id in its log: "<13 digits of milliseconds>-<6 digits>", so that positions sort as
text in the log's order.

What a log promises to the group of one app (the contract suite is named after these):

1. An entry that was appended is kept until `Retention` says otherwise, and handed to a member of every group.
2. It is handed out again until it is acknowledged: at least once, to one member at a time.
3. The entries of one corp are handed out in the log's order, and while a member holds one of them the corp's
   others go to the same member only.
4. A member holds at most `max_in_flight` entries.
5. A member that claims nothing for `alive_for` counts as gone: its entries are freed, no attempt is counted.
6. A member that holds something and acknowledged nothing for `ack_timeout` (counted from its last
   acknowledgement, or from when it got something while it held nothing) loses what it holds. Its own next
   `claim` applies this too, and then returns nothing, so that other members come first.
7. When a member loses its entries by 6, or releases them and it `counts_as_attempt`, one attempt is counted
   for the oldest one (by position) that it held. An entry that reaches `max_attempts` is dead: it is set
   aside for the group and no longer blocks its corp's other entries.
8. Entries of a type that the member does not want count as handled for its group.
9. A new group begins with the oldest entry that is kept.
10. Entries that retention removes are silently dropped from every group, even while they are held or dead.
11. A delivery says how often its entry has been handed out, this time included, however a member lost or
    released it before; what was `unseen` is not counted. `retry` keeps the count, `rewind` restarts it at 1.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

Item = TypeVar("Item")
"""An `Event` for those who handle it, an `Entry` for the store that keeps it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as the store keeps it: the payload is sealed."""

    app: str
    corp_id: str
    event_type: str
    payload: bytes
    position: str = ""
    """Assigned by the log."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long, and how many, entries of one app are kept."""

    age: timedelta
    count: int


@dataclass(frozen=True, slots=True)
class Member:
    """One subscriber, of one group, to the log of one app."""

    app: str
    group: str
    name: str
    """Unguessable, one for each stream."""
    event_types: frozenset[str]
    """Empty = all."""
    max_in_flight: int
    ack_timeout: timedelta
    alive_for: timedelta
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Delivery(Generic[Item]):
    """An event handed out, and how many attempts failed before."""

    event: Item
    attempts: int
    count: int = 1
    """How often it has been handed out, this time included."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is behind."""

    app: str
    group: str
    open: int
    """Entries that are not handled: to be handed out, or held."""
    dead: int
    oldest: datetime | None
    """When the oldest open entry arrived."""
    stuck: str = ""
    """The position of that entry; empty where only its time is known."""
    attempts: int = 0
    """How many attempts at it failed."""
    members: int = 0
    """How many subscribers share the work."""


class Deletion(StrEnum):
    """What became of a group that was to be deleted."""

    DELETED = "deleted"
    UNKNOWN = "unknown"
    IN_USE = "in use"
    """It has members: they would begin it anew, with the oldest entry that is kept."""


def topic(app: str) -> str:
    """Return the name of the notices about an app's events."""
    return f"events:{app}"


def owner_of(group: str) -> str:
    """Return the group's owner: the part of its name before the last slash."""
    return group.rpartition("/")[0]
