"""Wait for what must come true, and no longer; hear what a store tells."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TypeVar, cast

from broker.domain.ports.store import Lease, Notice, NoticeKind, Store
from tests.kit.machine import nap

PATIENCE_SECONDS = 3.0

Found = TypeVar("Found")


async def eventually(
    look: Callable[[], Awaitable[Found]],
    fits: Callable[[Found], bool] = bool,
    within: float = PATIENCE_SECONDS,
) -> Found:
    """Look until it fits, and return what was found; fail if it does not come in time.

    Seconds in which the machine was busy with other work do not count.
    """
    deadline = time.monotonic() + within
    while not fits(found := await look()):
        assert time.monotonic() < deadline, f"still {found!r}"
        deadline += await nap(0.005)
    return found


async def taken_in_time(store: Store, name: str, duration: timedelta) -> Lease:
    """Return the lease as soon as it is free."""
    found = await eventually(lambda: store.acquire(name, duration), lambda got: isinstance(got, Lease))
    assert isinstance(found, Lease)
    return found


class Stopwatch:
    """Tell how many seconds went by."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Return them."""
        return time.monotonic() - self._began


class Ear:
    """What one broker heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Notice] = asyncio.Queue()

    async def next(self, within: float = PATIENCE_SECONDS) -> Notice:
        """Return the next notice; fail if none comes in time."""
        async with asyncio.timeout(within):
            return await self.heard.get()


@asynccontextmanager
async def listening(store: Store) -> AsyncIterator[Ear]:
    """Hear all that the store tells; its first CONNECTED is behind us."""
    ear = Ear()

    async def listen() -> None:
        async with aclosing(cast("AsyncGenerator[Notice]", store.notices())) as notices:
            async for notice in notices:
                ear.heard.put_nowait(notice)

    task = asyncio.create_task(listen())
    try:
        assert Notice(NoticeKind.CONNECTED) == await ear.next()
        yield ear
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            raise error
