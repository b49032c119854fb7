"""One fetch at a time for each name, in the whole fleet.

The lease outlives a slow fetch (it is renewed while the fetch runs) and dies with its holder.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Busy, Coordination, Lease, Notice, NoticeKind
from broker.usecases.fleet.notifications import Notifications

Found = TypeVar("Found")
Value = TypeVar("Value")

LEASE = timedelta(seconds=5)
"""How long a killed holder keeps the others waiting."""
REPUBLISH_AFTER = timedelta(seconds=1)
"""How long what could not be shared waits before the followers look at it again."""
POLL = timedelta(milliseconds=500)
"""How long a waiter trusts that a notice comes (engine rule 9)."""
OFFLINE_FETCHES = 8
"""How many fetches of one stage a replica runs at once while it has no store (engine rule 10)."""


class LeasedFlight:
    """Take the lease, look again, fetch; or wait for whoever holds it, and look again."""

    def __init__(
        self,
        coordination: Coordination,
        notifications: Notifications,
        clock: Clock,
        observer: Observer,
        *,
        lease: timedelta = LEASE,
        poll: timedelta = POLL,
    ) -> None:
        self._coordination = coordination
        self._notifications = notifications
        self._clock = clock
        self._observer = observer
        self._unshared = False
        self._lease = lease
        self._poll = poll
        self._offline_slots: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(OFFLINE_FETCHES)
        )

    async def once(
        self,
        name: str,
        look: Callable[[], Awaitable[Found | None]],
        fetch: Callable[[Lease], Awaitable[Found | None]],
        *,
        stage: str,
        floor: int = 0,
        alone: bool = True,
    ) -> Found:
        """Return what `look` finds in the store, else what one `fetch` in the fleet brings.

        Fetches of one stage may wait for fetches of another: children for their parent.

        `fetch` returns None when another's commit came before its own. Without a store it runs under a lease
        of this replica, if `alone` allows. Raises what `fetch` raises; `StoreUnavailable` if not alone.
        """
        while True:
            try:
                return await self._together(name, look, fetch, floor)
            except StoreUnavailable:
                if not alone:
                    raise
            async with self._offline_slots[stage]:
                fence = max(int(self._clock.now().timestamp() * 1000), floor + 1)
                found = await fetch(Lease(name, "", fence, self._lease))
            if found is not None:
                return found

    async def publish(self, collection: Collection[Any, Value], value: Value, lease: Lease) -> bool:
        """Commit under the lease, or offer what was fetched alone: the store may be back by now.

        A fetch that outlived the store counts, in this replica's memory.
        """
        try:
            if lease.owner:
                return await collection.commit(value, lease)
            return await collection.offer(value)
        except StoreUnavailable:
            self._unshared = True
            return True

    async def republish(self) -> None:
        """See to it, for ever, that what could not be shared is offered when the store takes it again."""
        while True:
            await self._clock.sleep(REPUBLISH_AFTER)
            if self._unshared:
                with suppress(StoreUnavailable):
                    # A write: the followers must not be sent to a store that refuses theirs.
                    await self._coordination.count("shared-again", REPUBLISH_AFTER)
                    self._unshared = False
                    self._notifications.publish(Notice(NoticeKind.CONNECTED))

    async def _together(
        self,
        name: str,
        look: Callable[[], Awaitable[Found | None]],
        fetch: Callable[[Lease], Awaitable[Found | None]],
        floor: int,
    ) -> Found:
        began = self._clock.now()
        waited = False
        with self._notifications.waiter(name) as waiter:
            while True:
                if (found := await look()) is not None:
                    break
                lease = await self._coordination.acquire(name, self._lease, floor)
                if isinstance(lease, Busy):
                    waited = True
                    await waiter.wait(min(lease.remaining, self._poll), self._clock)
                    continue
                async with self._kept(lease):
                    # Engine rule 2: between our look and our lease somebody may have fetched.
                    found = await look()
                    if found is None:
                        found = await fetch(lease)
                if found is not None:
                    break
        if waited:
            self._observer.lease_waited(name, self._clock.now() - began)
        return found

    @asynccontextmanager
    async def _kept(self, lease: Lease) -> AsyncIterator[None]:
        keeper = asyncio.create_task(self._renew(lease))
        try:
            yield
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
            # After a commit this finds the lease released. Without a store it runs out by itself.
            with suppress(StoreUnavailable):
                await self._coordination.release(lease)

    async def _renew(self, lease: Lease) -> None:
        """Renew until it is lost: the fetch goes on, and its commit will be refused (engine rule 3)."""
        held = True
        while held:
            await self._clock.sleep(lease.duration / 3)
            with suppress(StoreUnavailable):
                held = await self._coordination.renew(lease)
