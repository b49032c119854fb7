"""One subscriber at work: what it is to handle, and the taking behind it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from broker.domain.errors import StoreUnavailable
from broker.domain.event_log import Delivery
from broker.domain.ports.clock import Clock
from broker.usecases.events.group_member import GroupMember
from broker.usecases.fleet.notifications import Waiter

LOOK_EVERY = timedelta(seconds=2)
"""How often a member looks without having been told: its sign of life, and the net under a lost notice."""


class EventSubscription:
    """Take for one subscriber until the end, whether it reads or not.

    `run` is a task of its own. A take that is under way when the subscriber leaves must end before the
    release: the store would hold its events for nobody.
    """

    def __init__(
        self, takers: Sequence[GroupMember], waiter: Waiter, few: asyncio.Semaphore, clock: Clock
    ) -> None:
        self._takers = takers
        self._turns = deque(takers)
        self._waiter = waiter
        self._few = few
        self._clock = clock
        self._news = asyncio.Event()
        self._stands = self._ending = self._over = False
        self._spends = True
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Take until the end, then free everything; once it stands, an outage of the store is waited out."""
        try:
            for taker in self._takers:
                if not self._ending:
                    await self._take(taker)
            self._stands = True
            self._news.set()
            while not self._ending:
                if not await self._take_what_there_is():
                    await self._waiter.wait(LOOK_EVERY, self._clock)
        except Exception as error:  # noqa: BLE001 - the subscriber hears it
            self._failure = error
        finally:
            for taker in self._takers:
                async with self._few:
                    await taker.release(spends=self._spends)
            self._over = True
            self._news.set()

    async def stands(self) -> None:
        """Return once it stands. Raises `StoreUnavailable`."""
        while not (self._stands or self._over):
            await self._on_notice()
        self._raise_failure()

    async def next(self) -> Delivery | None:
        """Return what is to be handled next; None at the end."""
        while not self._over:
            if not self._ending and (delivery := self._read()):
                return delivery
            await self._on_notice()
        self._raise_failure()
        return None

    def leave(self) -> None:
        """End it: the subscriber has gone, nobody knows why."""
        self._ending = True
        self._waiter.ring()

    def close(self) -> None:
        """End it, where that is not the fault of what the subscriber has at hand."""
        self._spends = False
        self.leave()

    async def _take_what_there_is(self) -> bool:
        found = False
        for taker in self._takers:
            with suppress(StoreUnavailable):
                found |= await self._take(taker)
            self._news.set()
        return found

    async def _take(self, taker: GroupMember) -> bool:
        async with self._few:
            return await taker.take()

    def _read(self) -> Delivery | None:
        """Read what comes next, each app in its turn."""
        for taker in tuple(self._turns):
            self._turns.rotate(-1)
            had_room = taker.has_room
            if delivery := taker.read():
                if taker.has_room and not had_room:
                    self._waiter.ring()
                return delivery
        return None

    async def _on_notice(self) -> None:
        await self._news.wait()
        self._news.clear()

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure
