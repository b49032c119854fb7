"""What all replicas of a broker share: records, leases, counters and notices.

Use cases see `Coordination`, and records as a `Collection` of one type (`ports.collection`).

Every method raises `StoreUnavailable` when the store is unavailable, and nothing else.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """A named value with the fencing number of the commit that wrote it."""

    name: str
    fence: int
    payload: bytes
    keep_until: datetime
    """When the store may forget it."""

    @property
    def is_tombstone(self) -> bool:
        """Return whether it stands for something forgotten on purpose."""
        return not self.payload


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fetch one thing, until it is released, lost or not renewed in time."""

    name: str
    owner: str
    """Unguessable: proves at commit that the lease was not lost."""
    fence: int
    """Larger than that of any earlier lease of this name, even if the store lost its data."""
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else holds the lease."""

    remaining: timedelta


class NoticeKind(StrEnum):
    """What a store tells everybody."""

    CONNECTED = "connected"
    """Notices may have been missed before: look again at everything."""
    COMMITTED = "committed"
    RELEASED = "released"
    FORGOTTEN = "forgotten"
    APPENDED = "appended"
    """An event came; its `fence` is when, in milliseconds."""
    AVAILABLE = "available"
    """What was held by one member of a group may be taken by another."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened to the record, lease or log of that name."""

    kind: NoticeKind
    name: str = ""
    fence: int = 0


class Records(Protocol):
    """Named values that all replicas share; a newer fencing number wins."""

    async def load(self, names: Sequence[str]) -> dict[str, Record]:
        """Return those that exist."""

    async def commit(self, record: Record, lease: Lease) -> bool:
        """Write, release the lease and tell everybody, in one step (engine rule 3).

        False if the lease was lost or the store holds something newer: then nothing is changed.
        """

    async def offer(self, record: Record) -> bool:
        """Write and tell everybody unless the store holds the same or something newer."""

    async def replace(self, record: Record) -> bool:
        """Write another payload for the same fence, silently; False if the fence is another one."""

    async def forget(self, name: str, fence: int) -> None:
        """Leave a tombstone if the record is of that fence or older, and tell everybody."""


class Leases(Protocol):
    """One holder for each name in the whole fleet."""

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        """Take the lease if it is free; its fence is above `floor` and above every earlier one."""

    async def renew(self, lease: Lease) -> bool:
        """Hold it for another `duration` from now; False if it was lost."""

    async def release(self, lease: Lease) -> None:
        """Give it back and tell everybody; does nothing if it was lost."""


class Counters(Protocol):
    """Counters of the whole fleet that start again with each window."""

    async def count(self, name: str, window: timedelta) -> int:
        """Add one, and return how many there are in the window that the first one opened."""

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        """Return how many there are now; none = 0."""


class Coordination(Leases, Counters, Protocol):
    """What keeps replicas in step, besides values."""

    def notices(self) -> AsyncIterator[Notice]:
        """Yield what happens, for ever: CONNECTED first, and again after each lost connection."""

    async def ping(self) -> None:
        """Return if the store answers."""


class Store(Records, Coordination, Protocol):
    """One kind of store."""
