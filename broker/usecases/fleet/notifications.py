"""Notices of the store, passed on to waiters and to keepers of copies."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Coordination, Notice, NoticeKind

Bells = defaultdict[str, set[asyncio.Event]]
"""What a notice of each name sets."""

EVERYTHING = frozenset({NoticeKind.CONNECTED, NoticeKind.READABLE})
"""Notices after which everything in memory is compared with the store."""


class Notifications:
    """Wake the waiters for a name, and call every keeper of copies. Lives as long as the broker."""

    def __init__(self, coordination: Coordination) -> None:
        self._coordination = coordination
        self._bells: Bells = defaultdict(set)
        self._keepers: list[Callable[[Notice], None]] = []

    def subscribe(self, keeper: Callable[[Notice], None]) -> None:
        """Call the keeper with each notice; it must return at once."""
        self._keepers.append(keeper)

    @contextmanager
    def waiter(self, *names: str) -> Iterator["Waiter"]:
        """Listen for notices of these names; begin before you look, so that none is missed."""
        waiter = Waiter(self._bells)
        waiter.listen(*names)
        try:
            yield waiter
        finally:
            waiter.listen()

    async def run(self) -> None:
        """Pass on notices for ever."""
        async for notice in self._coordination.notices():
            self.publish(notice)

    def look_again(self) -> None:
        """Have everybody look into the store again: this replica may read more of it now."""
        self.publish(Notice(NoticeKind.READABLE))

    def publish(self, notice: Notice) -> None:
        """Pass on one notice."""
        names = list(self._bells) if notice.kind in EVERYTHING else [notice.name]
        for name in names:
            for event in self._bells.get(name, ()):
                event.set()
        for keeper in self._keepers:
            keeper(notice)


class Waiter:
    """Wait for notices, or until somebody rings."""

    def __init__(self, bells: Bells | None = None) -> None:
        self._event = asyncio.Event()
        self._bells: Bells = defaultdict(set) if bells is None else bells
        self._names: tuple[str, ...] = ()

    def listen(self, *names: str) -> None:
        """Listen for notices of these names from now on, and of no others."""
        before, self._names = self._names, names
        for name in names:
            self._bells[name].add(self._event)
        for name in set(before) - set(names):
            self._bells[name].discard(self._event)
            if not self._bells[name]:
                del self._bells[name]

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
