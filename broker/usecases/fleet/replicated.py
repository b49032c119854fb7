"""Copies in memory of what the store holds, kept in step with the other replicas (engine rule 9).

A notice names what was committed or forgotten; after each new connection everything in memory is compared
again. Of two values the one with the larger fencing number wins. What the store has lost, or could not take,
is offered to it until it has it.
"""

import asyncio
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from typing import Generic, Protocol, Self, TypeVar

from broker.domain.errors import StoreUnavailable, UnknownApp
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection, Stored
from broker.domain.ports.store import Lease, Notice, NoticeKind
from broker.usecases.fleet.notifications import EVERYTHING, Waiter

BATCH = 500
"""How many values are looked at again in one go."""
COMPARED_IN_A_ROW = 50
"""How many of them are compared before calls get their turn: each takes some 10 µs."""
FRUITLESS = 10
"""How many steps in a row may find nothing new before each is followed by a rest."""
BREATH = timedelta(milliseconds=50)
"""That rest: forged notices, or a store that contradicts itself, must not keep this replica busy."""
PAUSE = timedelta(seconds=1)
"""How long to wait after the store did not answer, unless it is connected anew before."""


class Fenced(Protocol):
    """A value that says how new it is."""

    @property
    def fence(self) -> int:
        """Return the fencing number of the commit that wrote it."""

    def reconciled(self, other: Self) -> Self:
        """Return the value that all replicas should have."""

    def is_worth_sharing(self, now: datetime) -> bool:
        """Return whether a store that lost it should have it back."""


Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value", bound=Fenced)


class Copies(Protocol[Key, Value]):
    """What this replica holds of one collection."""

    def held(self) -> Iterable[Key]:
        """Return the keys that are held."""

    def key_named(self, name: str) -> Key | None:
        """Return the held key that has this name in notices."""

    def get(self, key: Key) -> Value | None:
        """Return the value that is held."""

    async def adopt(self, value: Value) -> None:
        """Hold the value, unless something newer is held."""

    def drop(self, key: Key) -> None:
        """Give up a value that was forgotten on purpose."""


class Replicated(Generic[Key, Value]):
    """Keep the copies and the store in step."""

    def __init__(self, collection: Collection[Key, Value], copies: Copies[Key, Value], clock: Clock) -> None:
        self._collection = collection
        self._copies = copies
        self._clock = clock
        self._stale: dict[Key, None] = {}
        self._has_stale = asyncio.Event()
        self._connected = Waiter()
        self._looks: dict[str, tuple[Key, int]] = {}
        """The keys that are being looked at, by name: a notice that comes meanwhile is about them too."""

    def name_of(self, key: Key) -> str:
        """Return the name of the key in leases and notices."""
        return self._collection.name_of(key)

    async def look(self, key: Key) -> Value | None:
        """Return the newer of what store and memory hold; None if the store holds nothing.

        Raises `StoreUnavailable`.
        """
        with self._looking_at(key):
            value = await self._collection.find(key)
        if value is None:
            return None
        await self.adopt(value)
        return self._copies.get(key)

    async def recall(self, keys: Iterable[Key]) -> None:
        """Bring those that are not held into memory, if the store has them and they are of use.

        Raises `StoreUnavailable`.
        """
        missing = [key for key in keys if self._copies.get(key) is None]
        with ExitStack() as looks:
            for key in missing:
                looks.enter_context(self._looking_at(key))
            found = await self._collection.load(missing)
        now = self._clock.now()
        # All of them at once: of a notice that came after a turn of others, nobody would hear.
        for stored in found.values():
            if stored.value and stored.value.is_worth_sharing(now):
                await self.adopt(stored.value)

    async def adopt(self, value: Value) -> None:
        """Hold the value, unless its app is not the one that has the name any more."""
        if self._collection.is_current(value):
            await self._copies.adopt(value)

    @contextmanager
    def _looking_at(self, key: Key) -> Iterator[None]:
        name = self.name_of(key)
        self._looks[name] = (key, self._looks.get(name, (key, 0))[1] + 1)
        try:
            yield
        finally:
            _, looks = self._looks.pop(name)
            if looks > 1:
                self._looks[name] = (key, looks - 1)

    async def publish(self, key: Key, value: Value, lease: Lease) -> bool:
        """Hold what was fetched, and commit it; False if the lease was lost or something newer is there.

        What was fetched under a lease of this replica alone is offered. If the store is unavailable, the
        value is held here all the same, and offered later. Raises `UnknownApp` if it was fetched for an app
        that is not the one of its name any more.
        """
        self._check(key, value)
        try:
            shared = await (
                self._collection.commit(value, lease) if lease.owner else self._collection.offer(value)
            )
        except StoreUnavailable:
            self.look_again([key])
            shared = True
        if not shared and not lease.owner:
            # This replica is on its own: it serves what it fetched, unless the store has something newer.
            await self._look_quietly(key)
            held = self._copies.get(key)
            shared = held is None or held.fence < value.fence
        self._check(key, value)
        if shared:
            await self._copies.adopt(value)
        return shared

    def _check(self, key: Key, value: Value) -> None:
        """Return if the value is of use. Raises `UnknownApp`."""
        if not self._collection.is_current(value):
            raise UnknownApp(f"{self.name_of(key)} is of an app that is not configured any more")

    async def _look_quietly(self, key: Key) -> None:
        with suppress(StoreUnavailable):
            await self.look(key)

    def on_notice(self, notice: Notice) -> None:
        """Record what another replica did; `run` acts on it."""
        if notice.kind in EVERYTHING:
            self.look_again(self._copies.held())
            self._connected.ring()
            return
        key = self._copies.key_named(notice.name)
        if key is None and notice.name in self._looks:
            key, _ = self._looks[notice.name]
        if key is None:
            return
        held = self._copies.get(key)
        fence = held.fence if held else 0
        # A notice only says where to look: anybody who reaches the store can publish one.
        forgotten = notice.kind is NoticeKind.FORGOTTEN and fence <= notice.fence
        if forgotten or (notice.kind is NoticeKind.COMMITTED and fence < notice.fence):
            self.look_again([key])

    async def run(self) -> None:
        """Look again at what is stale, for ever."""
        fruitless = 0
        while True:
            await self._has_stale.wait()
            self._has_stale.clear()
            while self._stale:
                # Taken off the list before we look, so that what becomes stale meanwhile is looked at again.
                keys = [self._stale.popitem()[0] for _ in range(min(BATCH, len(self._stale)))]
                try:
                    found = await self._collection.load(keys)
                    fruitless = 0 if await self._reconcile_all(keys, found) else fruitless + 1
                    if fruitless > FRUITLESS:
                        await self._clock.sleep(BREATH)
                except StoreUnavailable:
                    self.look_again(keys)
                    await self._connected.wait(PAUSE, self._clock)

    def look_again(self, keys: Iterable[Key]) -> None:
        """Compare these with the store once more: one of both may lack what the other has."""
        self._stale.update(dict.fromkeys(keys))
        self._has_stale.set()

    async def _reconcile_all(self, keys: Iterable[Key], found: Mapping[Key, Stored[Value]]) -> bool:
        """Reconcile each; return whether one of them was news."""
        is_news = False
        for number, key in enumerate(keys, 1):
            if await self._reconcile(key, found.get(key)):
                is_news = True
            if number % COMPARED_IN_A_ROW == 0:
                await asyncio.sleep(0)
        return is_news

    async def _reconcile(self, key: Key, found: Stored[Value] | None) -> bool:
        """Put the newer of the values in memory and store into both; return whether one of them changed."""
        held = self._copies.get(key)
        if found and found.is_others and held and held.fence > found.fence:
            found = None  # two apps have the name, on replicas with other files: what is newer stays
        if found and (found.is_others or not found.is_readable):
            # Once this broker gets a key that it lacks, it looks again at everything.
            return False
        if found and found.value is None:
            if not held or held.fence > found.fence:
                return False
            self._copies.drop(key)
            return True
        stored = found.value if found else None
        if held is None:
            if stored:
                await self.adopt(stored)
            return stored is not None
        newest = held.reconciled(stored) if stored else held
        is_news = stored is None or newest.fence > stored.fence
        is_offered = is_news and newest.is_worth_sharing(self._clock.now())
        if is_offered and not await self._collection.offer(newest):
            self.look_again([key])  # something newer was committed since we looked
            return False
        await self.adopt(newest)
        return is_offered or newest.fence > held.fence
