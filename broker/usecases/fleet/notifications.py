"""Notices of the store, passed on to waiters and to keepers of copies."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Coordination, Notice, NoticeKind


class Notifications:
    """Wake the waiters for a name, and call every keeper of copies. Lives as long as the broker."""

    def __init__(self, coordination: Coordination) -> None:
        self._coordination = coordination
        self._bells: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._keepers: list[Callable[[Notice], None]] = []

    def subscribe(self, keeper: Callable[[Notice], None]) -> None:
        """Call the keeper with each notice; it must return at once."""
        self._keepers.append(keeper)

    @contextmanager
    def waiter(self, *names: str) -> Iterator["Waiter"]:
        """Listen for notices of these names; begin before you look, so that none is missed."""
        event = asyncio.Event()
        for name in names:
            self._bells[name].add(event)
        try:
            yield Waiter(event)
        finally:
            for name in names:
                self._bells[name].discard(event)
                if not self._bells[name]:
                    del self._bells[name]

    async def run(self) -> None:
        """Pass on notices for ever."""
        async for notice in self._coordination.notices():
            self.publish(notice)

    def publish(self, notice: Notice) -> None:
        """Pass on one notice."""
        names = list(self._bells) if notice.kind is NoticeKind.CONNECTED else [notice.name]
        for name in names:
            for event in self._bells.get(name, ()):
                event.set()
        for keeper in self._keepers:
            keeper(notice)


class Waiter:
    """Wait for notices, or until somebody rings."""

    def __init__(self, event: asyncio.Event) -> None:
        self._event = event

    async def wait(self, longest: timedelta, clock: Clock) -> None:
        """Return at the next notice, or after that time at the latest."""
        alarm = asyncio.create_task(self._ring_after(longest, clock))
        try:
            await self._event.wait()
        finally:
            alarm.cancel()
        self._event.clear()

    def ring(self) -> None:
        """Wake the waiter."""
        self._event.set()

    async def _ring_after(self, duration: timedelta, clock: Clock) -> None:
        await clock.sleep(duration)
        self._event.set()
