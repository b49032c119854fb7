"""Every kind of store, opened for several brokers that share it."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.system import SystemClock
from broker.domain.ports.store import Store
from tests.contract.observer import Notebook
from tests.contract.sealed import SealedStore
from tests.kit.memory.memory_store import MemoryStore, Shared
from tests.kit.redis_at import connect_redis


@dataclass(frozen=True)
class Fleet:
    """Brokers on one store."""

    connect: Callable[[], Awaitable[Store]]
    """Return the store of one more broker."""
    lose_data: Callable[[], Awaitable[None]]
    """Empty the store, as a restart without persistence does: it takes longer than a millisecond."""


@asynccontextmanager
async def memory_fleet() -> AsyncIterator[Fleet]:
    """Share the kit's store."""
    shared = Shared(SystemClock())

    async def connect() -> Store:
        return MemoryStore(shared)

    async def lose_data() -> None:
        shared.lose_data()
        await asyncio.sleep(0.002)

    yield Fleet(connect, lose_data)


@asynccontextmanager
async def sqlite_fleet(path: Path) -> AsyncIterator[Fleet]:
    """Share a file; it is for one process, so all brokers are the same."""
    async with open_sqlite(path, SystemClock()) as store:

        async def connect() -> Store:
            return store

        async def lose_data() -> None:
            database = sqlite3.connect(path)
            with database:
                for table in ("records", "leases", "tallies", "grouped_names"):
                    database.execute(f"DELETE FROM {table}")
            database.close()
            await asyncio.sleep(0.002)

        yield Fleet(connect, lose_data)


@asynccontextmanager
async def redis_fleet(url: str, prefix: str) -> AsyncIterator[Fleet]:
    """Share a Redis, each broker with a pool of its own."""
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(connect_redis(url))

        async def connect() -> Store:
            client = await stack.enter_async_context(connect_redis(url))
            return RedisStore(client, prefix, SystemClock(), Notebook())

        async def lose_data() -> None:
            for _, primary in await plain.primaries():
                await primary.execute_command("FLUSHALL")

        yield Fleet(connect, lose_data)


@asynccontextmanager
async def sealed_fleet(inner: Fleet) -> AsyncIterator[Fleet]:
    """Seal what the brokers of another fleet share."""
    seal = Seal([SealKey("k1", os.urandom(32))])

    async def connect() -> Store:
        return SealedStore(await inner.connect(), seal, Notebook())

    yield Fleet(connect, inner.lose_data)
