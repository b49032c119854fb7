"""What all replicas of a broker share: records, leases, counters and notices.

Use cases see `Coordination`, and records as a `Collection` of one type (`ports.collection`).

Every method raises `StoreUnavailable` when the store is unavailable, and nothing else.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from broker.domain.stores.status import StoreStatus


@dataclass(frozen=True, slots=True)
class Record:
    """A named value with the fencing number of the commit that wrote it."""

    name: str
    fence: int
    payload: bytes
    keep_until: datetime
    """When the store may forget it."""
    durable: bool = False
    """Whether the store answers only once it is on disk.

    Where the store cannot prove that in time, the write counts as done, and the observer is told: the record
    is in the store, in the memory of replicas too, and a repetition would prove no more.
    """

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
    """What a store notifies all replicas of."""

    CONNECTED = "connected"
    """Notices may have been missed before: check everything again."""
    READABLE = "readable"
    """This replica got other seal keys: it may read now what it could not. No store says so."""
    COMMITTED = "committed"
    RELEASED = "released"
    FORGOTTEN = "forgotten"
    APPENDED = "appended"
    """An event arrived; `fence` is its time in milliseconds."""
    AVAILABLE = "available"
    """Entries that one member of a group held may be taken by another."""


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
        """Write, release the lease and notify all replicas, in one step (engine rule 3).

        False, and nothing is changed, if the lease was lost or the store holds something newer.
        """

    async def offer(self, record: Record) -> bool:
        """Write and notify all replicas unless the store holds the same or something newer."""

    async def supplant(self, record: Record, damaged: bytes) -> bool:
        """Write in the place of a damaged payload, whatever its number, and notify all replicas.

        False, and nothing is changed, if the store holds another payload by now.
        """

    async def replace(self, record: Record) -> bool:
        """Write another payload for the same fence, without a notice; False if the fence differs."""

    async def forget(self, name: str, fence: int) -> None:
        """Leave a tombstone if the record is of that fence or older, and notify all replicas."""


class Leases(Protocol):
    """Leases with one holder for each name in the whole fleet."""

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        """Take the lease if it is free; its fence is above `floor` and above every earlier one.

        One that ends later than two durations from now counts as free: no broker took it.
        """

    async def renew(self, lease: Lease) -> bool:
        """Extend it to `duration` from now; False if it was lost."""

    async def release(self, lease: Lease) -> None:
        """Release it and notify all replicas; does nothing if it was lost."""


class Counters(Protocol):
    """Counters of the whole fleet that restart with each window."""

    async def count(self, name: str, window: timedelta) -> int:
        """Add one, and return the count in the window that the first one opened."""

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        """Return the current count for each name; 0 if nothing was counted."""


class Groups(Protocol):
    """Names that belong together, so that they can be listed: a store is never searched.

    A group holds names only, in the order in which they end; what they name is a record.
    """

    async def enlist(self, group: str, name: str, keep_until: datetime) -> None:
        """Add the name, or keep it longer, never shorter; names whose time has passed are dropped."""

    async def members(self, group: str, start: int, count: int) -> list[str]:
        """Return names whose time has not passed, from position `start` on; fewer than `count` at the end.

        An answer is of one moment. A name that is struck between two moves those behind it one to the front.
        """

    async def strike(self, group: str, name: str) -> None:
        """Remove the name."""


class Coordination(Leases, Counters, Protocol):
    """What coordinates replicas: leases, counters and notices."""

    def notices(self) -> AsyncIterator[Notice]:
        """Yield notices for ever: CONNECTED first, and again after each lost connection."""

    async def ping(self) -> None:
        """Return if the store answers."""

    async def status(self) -> StoreStatus:
        """Return what it consists of; without servers while it is unavailable, which is no error here."""


class Store(Records, Coordination, Groups, Protocol):
    """All that one kind of store provides."""

    async def durability_problem(self) -> str:
        """Return why a crash of the store may lose durable records, and what to do; empty if it does not."""
