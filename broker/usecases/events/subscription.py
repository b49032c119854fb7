"""One subscriber: its deliveries, and the task that claims them."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from broker.domain.errors import BrokerError, StoreUnavailable
from broker.domain.events.event import Event
from broker.domain.events.log import Delivery
from broker.domain.ports.clock import Clock
from broker.usecases.events.group_member import GroupMember
from broker.usecases.fleet.notifications import Waiter

ALIVE_FOR = timedelta(seconds=10)
"""A member whose replica shows no sign of life for this long counts as gone."""
RELEASE_EVERY = timedelta(milliseconds=500)
"""How often a member that left while the store was unavailable is released again."""
LOOK_EVERY = timedelta(seconds=2)
"""How often a member claims without a notice: as a sign of life, and in case a notice was lost."""


class EventSubscription:
    """Claim for one subscriber until the end, whether it reads or not.

    `run` is a task of its own. A claim that is running when the subscriber leaves must end before the
    release, or the store would hold its events for a member that is gone.
    """

    def __init__(
        self, members: Sequence[GroupMember], waiter: Waiter, claims: asyncio.Semaphore, clock: Clock
    ) -> None:
        self._members = members
        self._turns = deque(members)
        self._waiter = waiter
        self._claims = claims
        self._clock = clock
        self._changed = asyncio.Event()
        self._subscribed = self._ending = self._over = False
        self._counts_as_attempt = True
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Claim until the end, then free everything; once subscribed, outages of the store are waited out."""
        try:
            for member in self._members:
                if not self._ending:
                    await self._claim(member)
            self._subscribed = True
            self._changed.set()
            while not self._ending:
                if not await self._claim_available():
                    await self._waiter.wait(LOOK_EVERY, self._clock)
        except Exception as error:  # noqa: BLE001 - raised to the subscriber
            self._failure = error
        finally:
            holding = await self._release(self._members)
            self._over = True
            self._changed.set()
        await self._release_once_possible(holding)

    async def subscribed(self) -> None:
        """Return once every member has claimed once. Raises `StoreUnavailable`."""
        while not (self._subscribed or self._over):
            await self._on_notice()
        self._raise_failure()

    async def next(self) -> Delivery[Event] | None:
        """Return the next delivery; None at the end."""
        while not self._over:
            if not self._ending and (delivery := self._read()):
                return delivery
            await self._on_notice()
        self._raise_failure()
        return None

    def leave(self) -> None:
        """End it: the subscriber has left, for an unknown reason."""
        self._ending = True
        self._waiter.ring()

    def close(self) -> None:
        """End it for a reason that has nothing to do with the events the subscriber holds."""
        self._counts_as_attempt = False
        self.leave()

    def end(self, error: BrokerError | None) -> None:
        """Close it: with the error, or because the subscriber is to come again."""
        self._failure = error
        self.close()

    async def _claim_available(self) -> bool:
        found = False
        for member in self._members:
            with suppress(StoreUnavailable):
                found |= await self._claim(member)
            self._changed.set()
        return found

    async def _release_once_possible(self, members: Sequence[GroupMember]) -> None:
        """Release them once the store is back: others cannot get what they hold until they count as gone."""
        ends = self._clock.now() + ALIVE_FOR
        while members and self._clock.now() < ends:
            await self._clock.sleep(RELEASE_EVERY)
            members = await self._release(members)

    async def _release(self, members: Sequence[GroupMember]) -> list[GroupMember]:
        """Free what they hold; return those whose release did not reach the store."""
        holding = []
        for member in members:
            try:
                async with self._claims:
                    await member.release(counts_as_attempt=self._counts_as_attempt)
            except StoreUnavailable:
                holding.append(member)
        return holding

    async def _claim(self, member: GroupMember) -> bool:
        async with self._claims:
            return await member.claim()

    def _read(self) -> Delivery[Event] | None:
        """Read the next delivery, each app in turn."""
        for member in tuple(self._turns):
            self._turns.rotate(-1)
            had_capacity = member.has_capacity
            if delivery := member.read():
                if member.has_capacity and not had_capacity:
                    self._waiter.ring()
                return delivery
        return None

    async def _on_notice(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure
