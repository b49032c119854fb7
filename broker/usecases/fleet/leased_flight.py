"""One fetch at a time for each name, in the whole fleet.

The lease outlives a slow fetch (it is renewed while the fetch runs), and expires if its holder dies.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Damage, Observer
from broker.domain.ports.store import Busy, Lease, Leases
from broker.domain.ports.tracer import NO_TRACER, Tracer
from broker.usecases.fleet.notifications import Notifications, Waiter
from broker.usecases.fleet.replicated import Key, Replicated, Value

LEASE = timedelta(seconds=5)
"""How long a killed holder keeps the others waiting."""
POLL = timedelta(milliseconds=500)
"""How long a waiter relies on a notice before it looks again (engine rule 9)."""
LOST_COMMITS = 3
"""How many leases of one flight may end in a commit that the store refuses."""
DISTRUST = timedelta(seconds=30)
"""How long nothing is renewed ahead of time after that."""
OFFLINE_FETCHES = 8
"""How many fetches of one stage a replica runs at once while it has no store (engine rule 10)."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Turn(Generic[Found]):
    """One look at the store, perhaps under a lease."""

    stored: Found | None
    """What is known now; None = nothing, or there is no store."""
    lease: Lease | None
    """The right to fetch; None = only look."""


class LeasedFlight:
    """Take the lease, look again, fetch; or wait for whoever holds it, and look again."""

    def __init__(
        self,
        leases: Leases,
        notifications: Notifications,
        clock: Clock,
        observer: Observer,
        *,
        tracer: Tracer = NO_TRACER,
        lease: timedelta = LEASE,
        poll: timedelta = POLL,
    ) -> None:
        self._leases = leases
        self._notifications = notifications
        self._clock = clock
        self._observer = observer
        self._tracer = tracer
        self._lease = lease
        self._poll = poll
        self._offline_slots: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(OFFLINE_FETCHES)
        )

    async def turns(
        self,
        replicated: Replicated[Key, Value],
        key: Key,
        *,
        stage: str,
        above: int = 0,
        allow_offline: bool = True,
    ) -> AsyncGenerator[Turn[Value], None]:
        """Yield turns until one is taken: first a look, then a look under the lease, or after waiting for it.

        Close the generator to release the lease. A lease's fence is larger than `above`. Without a store the
        turns go on under leases of this replica alone, few at once for each stage: fetches of one stage may
        wait for fetches of another, as children do for their parent. A store that refuses `LOST_COMMITS`
        in a row counts as none: else each lease would cost another call to WeCom. Raises `StoreUnavailable`
        where that is not allowed.
        """
        while True:
            try:
                async with aclosing(self._shared_turns(replicated, key, above)) as turns:
                    async for turn in turns:
                        yield turn
            except StoreUnavailable:
                if not allow_offline:
                    raise
            async with self._offline_slots[stage]:
                fence = max(int(self._clock.now().timestamp() * 1000), above + 1)
                yield Turn(None, Lease(replicated.name_of(key), "", fence, self._lease))
            await self._clock.sleep(self._poll)  # nothing was good enough: no turn follows the next at once

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Hold the lease of that name, for work that one replica does at a time; wait for whoever holds it.

        Raises `StoreUnavailable`.
        """
        with self._notifications.waiter(name) as waiter:
            while isinstance(lease := await self._leases.acquire(name, self._lease), Busy):
                await self._wait(waiter, name, lease)
        async with self._kept(lease):
            yield

    async def _shared_turns(
        self, replicated: Replicated[Key, Value], key: Key, above: int
    ) -> AsyncGenerator[Turn[Value], None]:
        name = replicated.name_of(key)
        began, waited, lost = self._clock.now(), False, 0
        with self._notifications.waiter(name) as waiter:
            try:
                yield Turn(await replicated.look(key), None)
                while True:
                    lease = await self._leases.acquire(name, self._lease, above)
                    if isinstance(lease, Busy):
                        waited = True
                        await self._wait(waiter, name, lease)
                        yield Turn(await replicated.look(key), None)
                    else:
                        async with self._kept(lease):
                            # Between our look and our lease another replica may have fetched (engine rule 2).
                            yield Turn(await replicated.look(key), lease)
                        lost += 1
                        if lost == LOST_COMMITS:
                            raise self._distrusted(name)
            finally:
                if waited:
                    self._observer.lease_waited(name, self._clock.now() - began)

    async def _wait(self, waiter: Waiter, name: str, lease: Busy) -> None:
        """Wait for a notice about the lease, or until it is time to look again."""
        # The name has an app and a corp; what kind of thing it is of stands first.
        with self._tracer.lease_wait(name.partition(":")[0]):
            await waiter.wait(min(lease.remaining, self._poll), self._clock)

    def _distrusted(self, name: str) -> StoreUnavailable:
        error = StoreUnavailable(f"the store refused {LOST_COMMITS} commits of {name} in a row", DISTRUST)
        self._observer.damage_found(Damage.COMMIT, error)
        return error

    @asynccontextmanager
    async def _kept(self, lease: Lease) -> AsyncIterator[None]:
        keeper = asyncio.create_task(self._renew(lease))
        try:
            yield
        finally:
            keeper.cancel()
            # Not `await keeper`: its cancellation could not be told from this task's own.
            await asyncio.wait([keeper])
            # After a commit this finds the lease released. Without a store it expires by itself.
            with suppress(StoreUnavailable):
                await self._leases.release(lease)

    async def _renew(self, lease: Lease) -> None:
        """Renew until it is lost: the fetch goes on, and its commit will be refused (engine rule 3)."""
        held = True
        while held:
            await self._clock.sleep(lease.duration / 3)
            with suppress(StoreUnavailable):
                held = await self._leases.renew(lease)
