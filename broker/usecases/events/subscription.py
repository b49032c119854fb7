"""One subscriber: its deliveries, and the task that claims them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
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

Join = Callable[[str], Awaitable[GroupMember]]
"""Make the member for an app, whose group is open then. Raises `InvalidRequest`, `StoreUnavailable`."""


class EventSubscription:
    """Claim for one subscriber until the end, whether it reads or not.

    `run` is a task of its own. A claim that is running when the subscriber leaves must end before the
    release, or the store would hold its events for a member that is gone.
    """

    def __init__(
        self,
        members: Mapping[str, GroupMember],
        join: Join,
        waiter: Waiter,
        claims: asyncio.Semaphore,
        clock: Clock,
    ) -> None:
        self._members = dict(members)
        self._turns = deque(members.values())
        self._joining: list[str] = []
        self._leaving: list[GroupMember] = []
        self._join = join
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
            for member in tuple(self._members.values()):
                if not self._ending:
                    await self._claim(member)
            self._subscribed = True
            self._changed.set()
            while not self._ending:
                await self._follow_apps()
                if not await self._claim_available():
                    await self._waiter.wait(LOOK_EVERY, self._clock)
        except Exception as error:  # noqa: BLE001 - raised to the subscriber
            self._failure = error
        finally:
            holding = await self._release_all()
            self._over = True
            self._changed.set()
        if holding:
            await self._release_once_possible()

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

    def take(self, apps: Collection[str]) -> None:
        """Deliver the events of these apps from now on, and of no others."""
        for app in self._members.keys() - set(apps):
            member = self._members.pop(app)
            self._turns.remove(member)
            self._leaving.append(member)
        self._joining = [app for app in apps if app not in self._members]
        self._waiter.ring()

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
        for member in tuple(self._members.values()):
            if self._ending:
                break
            with suppress(StoreUnavailable):
                found |= await self._claim(member)
            self._changed.set()
        return found

    async def _follow_apps(self) -> None:
        """Leave apps and join others; what an outage of the store prevents is done at the next turn."""
        await self._release_leaving()
        with suppress(StoreUnavailable):
            while self._joining:
                app = self._joining[0]
                async with self._claims:
                    member = await self._join(app)
                if app in self._joining:
                    self._joining.remove(app)
                    self._members[app] = member
                    self._turns.append(member)

    async def _release_once_possible(self) -> None:
        """Release them once the store is back: others cannot get what they hold until they count as gone."""
        ends = self._clock.now() + ALIVE_FOR
        while self._clock.now() < ends:
            await self._clock.sleep(RELEASE_EVERY)
            if not await self._release_all():
                return

    async def _release_all(self) -> bool:
        """Free all that they hold; return whether a release did not reach the store."""
        await self._release_leaving()
        members = await self._release(self._members.values(), counts_as_attempt=self._counts_as_attempt)
        self._members = {app: member for app, member in self._members.items() if member in members}
        return bool(self._leaving or members)

    async def _release_leaving(self) -> None:
        leaving, self._leaving = self._leaving, []
        holding = await self._release(leaving, counts_as_attempt=False)
        self._leaving += holding

    async def _release(self, members: Iterable[GroupMember], *, counts_as_attempt: bool) -> list[GroupMember]:
        """Free what they hold; return those whose release did not reach the store."""
        holding = []
        for member in tuple(members):
            try:
                async with self._claims:
                    await member.release(counts_as_attempt=counts_as_attempt)
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
