"""Wait for what must come true, and no longer; hear what a store tells."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import TypeVar, cast

from broker.adapters.redis.store import RedisStore
from broker.domain.ports.store import Lease, Notice, NoticeKind, Store
from tests.contract.making import record
from tests.kit.machine import nap
from tests.kit.time_bounds import TooSlow

PATIENCE_SECONDS = 3.0
HEARD_WITHIN_SECONDS = 30.0
"""How long to wait for a notice that must come, however busy the machine is."""
MARK = "published before this "

_marks = count(1)

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
        if time.monotonic() > deadline:
            raise TooSlow(f"still {found!r}")
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
        self.marks: asyncio.Queue[Notice] = asyncio.Queue()

    def hear(self, notice: Notice) -> None:
        """Take a notice."""
        (self.marks if notice.name.startswith(MARK) else self.heard).put_nowait(notice)

    async def next(self, within: float = HEARD_WITHIN_SECONDS) -> Notice:
        """Return the next notice; fail if none comes in time."""
        return await _next(self.heard, within)


async def _next(notices: asyncio.Queue[Notice], within: float) -> Notice:
    try:
        async with asyncio.timeout(within):
            return await notices.get()
    except TimeoutError:
        raise TooSlow(f"no notice within {within} s") from None


@asynccontextmanager
async def listening(store: Store) -> AsyncIterator[Ear]:
    """Hear all that the store tells; its first CONNECTED is behind us."""
    ear = Ear()

    async def listen() -> None:
        async with aclosing(cast("AsyncGenerator[Notice]", store.notices())) as notices:
            async for notice in notices:
                ear.hear(notice)

    task = asyncio.create_task(listen())
    try:
        assert Notice(NoticeKind.CONNECTED) == await ear.next()
        if len(_names_on_each_server(store)) > 1:
            await heard_until_now(ear, store)  # members of a cluster pass on what was published before
        yield ear
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            raise error


async def heard_until_now(ear: Ear, store: Store) -> list[Notice]:
    """Return what was told before this, and not yet taken from the ear.

    Notices of one name come in order; those of several names do so only where they are on one server.
    """
    marks = {
        Notice(NoticeKind.COMMITTED, name, fence)
        for name, fence in zip(_names_on_each_server(store), _marks, strict=False)
    }
    for mark in marks:
        await store.offer(record(mark.fence, name=mark.name))
    while marks:
        marks.discard(await _next(ear.marks, HEARD_WITHIN_SECONDS))
    return [ear.heard.get_nowait() for _ in range(ear.heard.qsize())]


def _names_on_each_server(store: Store) -> list[str]:
    names = [f"{MARK}{number}" for number in range(30)]
    if not isinstance(store, RedisStore):
        return names[:1]
    return list({store._client.shard(store._keys.record(name)): name for name in names}.values())
