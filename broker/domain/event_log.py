"""The port of the event log: durable, shared by all replicas, read by groups whose members share the work.

Every method raises `StoreUnavailable` when the store is away, and nothing else. One log an app; a *place* is
an entry's id in its log: "<13 digits of milliseconds>-<6 digits>", so that places sort as text in the log's
order.

What a log promises to the group of one app (the contract suite is named after these):

1. An entry that was appended is kept until `Retention` says otherwise, and handed to a member of every group.
2. It is handed out again until it is acknowledged: at least once, to one member at a time.
3. The entries of one corp are handed out in the log's order, and while a member holds one of them the corp's
   others go to the same member only.
4. A member holds at most `room` entries.
5. A member that takes nothing for `alive_for` is gone: what it held is free again, and counts no try.
6. A member that holds something and acknowledged nothing for `ack_timeout` (counted from its last
   acknowledgement, or from when it got something while it held nothing) loses what it holds. Its own next
   `take` finds that out too, and then returns nothing, so that others come first.
7. Who loses its entries by 6, or releases them so that it `spends`, spends one try of the oldest one (by
   place) that it held. An entry that spent `max_tries` is dead: kept aside for the group, and not in the way
   of its corp's others.
8. Entries of a type that the member does not want count as handled for its group.
9. A new group begins with the oldest entry that is kept.
10. What retention removes is dropped from every group in silence, also while it is held or dead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as the log keeps it."""

    app: str
    corp_id: str
    event_type: str
    payload: bytes
    place: str = ""
    """Given by the log."""


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
    room: int
    ack_timeout: timedelta
    alive_for: timedelta
    max_tries: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An entry handed out, and how many tries it has spent before."""

    entry: Entry
    tries: int


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is behind."""

    app: str
    group: str
    open: int
    """Entries that are not handled: to be handed out, or held."""
    dead: int
    oldest: datetime | None
    """When the oldest open one came."""


def log_name(app: str) -> str:
    """Return the name under which everybody hears of an app's events."""
    return f"events:{app}"


def owner_of(group: str) -> str:
    """Return whose group it is: what stands before the last slash of its name."""
    return group.rpartition("/")[0]


class EventLog(Protocol):
    """Keep events until every group has handled them."""

    async def append(
        self, entry: Entry, *, key: str, once_in: timedelta, keep: Retention, tell: Sequence[str]
    ) -> str:
        """Write the entry durably and return its place, or "" if `key` was appended within `once_in`.

        In the same step everybody hears `Notice(APPENDED, name, <milliseconds of the place>)` for each name
        of `tell`, and what `keep` does not cover is removed.
        """

    async def open_group(self, app: str, group: str, *, most: int) -> bool:
        """See that the group is there; False if it is not, and its owner has so many others."""

    async def take(self, member: Member) -> list[Delivery]:
        """Hand out what the member may have now, each corp's in order; empty if there is nothing."""

    async def acknowledge(self, app: str, group: str, places: Sequence[str]) -> int:
        """Mark as handled, whoever holds them, dead ones too; return how many were open or dead.

        Everybody hears `Notice(AVAILABLE, log_name(app))` if that lets another member have something.
        """

    async def give_up(self, app: str, group: str, places: Sequence[str]) -> int:
        """Make entries that were taken dead for the group, whoever holds them; return how many were open.

        For what this broker cannot handle: it is in nobody's way, and `retry` brings it back.
        """

    async def release(self, app: str, group: str, member: str, *, spends: bool = True) -> None:
        """Free what the member holds, and forget it; AVAILABLE follows if it held something.

        It `spends` a try unless what it held has nothing to do with its leaving.
        """

    async def rewind(self, app: str, group: str, place: str) -> None:
        """Begin anew with the first entry at or after the place: nothing is held, waiting or dead any more.

        Everybody hears AVAILABLE. A place ahead of the log means its end.
        """

    async def read(self, app: str, after: str, limit: int) -> list[Entry]:
        """Return entries after a place ("" = from the oldest), for whoever only looks."""

    async def dead(self, app: str, group: str, after: str, limit: int) -> list[Entry]:
        """Return the group's dead entries after a place ("" = from the oldest), in order."""

    async def retry(self, app: str, group: str, places: Sequence[str]) -> int:
        """Free dead entries, with no try spent; return how many were dead. AVAILABLE follows."""

    async def lags(self, app: str) -> list[Lag]:
        """Return every group's lag."""

    async def forget_groups(self, app: str, unused_for: timedelta) -> None:
        """Forget the groups of which nobody took anything for so long."""
