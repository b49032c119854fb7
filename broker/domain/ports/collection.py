"""Values of one type that all replicas share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from broker.domain.ports.store import Lease

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Stored(Generic[Value]):
    """What the store holds for a key."""

    fence: int
    value: Value | None
    """None for a tombstone (it was forgotten on purpose), and for what cannot be read yet."""
    is_readable: bool = True
    """False: another replica sealed it with a key that this one does not have yet."""
    is_others: bool = False
    """True: it is of another app that has, or had, the name. It counts as missing, but for its number."""


class Collection(Protocol[Key, Value]):
    """Values by their keys; of two values for one key, the one with the larger fencing number wins.

    A damaged value counts as missing, and an offer replaces it, whatever its number. A value of an app that
    had the name before, or has it on replicas with another configuration (`is_current`), counts as missing
    too, but the larger number wins. Every method raises `StoreUnavailable` when the store is unavailable, and
    nothing else.
    """

    def name_of(self, key: Key) -> str:
        """Return the name of the key in leases and notices."""

    def is_current(self, value: Value) -> bool:
        """Return whether the app that the value belongs to is the one that has its name now.

        One that is not is never written. A value of an older broker tells no app, and counts as current.
        """

    async def load(self, keys: Sequence[Key]) -> dict[Key, Stored[Value]]:
        """Return what the store holds for the keys, tombstones included."""

    async def find(self, key: Key) -> Value | None:
        """Return the value of the key; None if there is none, or a tombstone.

        Raises `StoreUnavailable` also for what cannot be read yet.
        """

    async def commit(self, value: Value, lease: Lease) -> bool:
        """Write, release the lease and notify all replicas, in one step (engine rule 3).

        False, and nothing is changed, if the lease was lost or the store holds something newer.
        """

    async def offer(self, value: Value) -> bool:
        """Write and notify all replicas unless the store holds the same or something newer."""

    async def supplant(self, value: Value) -> bool:
        """Do as `offer`, but take the place of another app's value whatever its number: for what is new."""

    async def forget(self, key: Key, fence: int) -> None:
        """Leave a tombstone if the value is of that fence or older, and notify all replicas."""
