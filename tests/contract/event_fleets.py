"""Every kind of event log, opened for several brokers that share it."""

import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.event_log import SqliteEventLog
from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.storage.event_codec import EventCodec
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.adapters.system import SystemClock
from broker.domain.events.log import Entry
from broker.domain.ports.clock import Clock
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.store import Store
from tests.contract.observer import Notebook
from tests.kit.memory.memory_event_log import MemoryEventLog, SharedLogs
from tests.kit.memory.memory_store import MemoryStore, Shared
from tests.kit.redis_at import connect_redis

ENTRIES: EventCodec[Entry] = EventCodec(lambda entry: entry, lambda entry: entry)
"""Entries are their own items."""


@dataclass(frozen=True)
class Broker:
    """What one broker has of the fleet's store."""

    log: EventLog[Entry]
    groups: EventGroups
    store: Store


@dataclass(frozen=True)
class EventFleet:
    """Brokers on one event log."""

    connect: Callable[[], Awaitable[Broker]]
    lose_data: Callable[[], Awaitable[None]]
    """Empty the store, as a restart without persistence does."""


@asynccontextmanager
async def memory_events(clock: Clock | None = None) -> AsyncIterator[EventFleet]:
    """Share the kit's log."""
    shared, logs = Shared(clock or SystemClock()), SharedLogs(clock or SystemClock())

    async def connect() -> Broker:
        store = MemoryStore(shared)
        log = MemoryEventLog(store, logs)
        return Broker(log, log, store)

    async def lose_data() -> None:
        logs.lose_data()

    yield EventFleet(connect, lose_data)


@asynccontextmanager
async def sqlite_events(path: Path, clock: Clock | None = None) -> AsyncIterator[EventFleet]:
    """Share a file; it is for one process, so all brokers are the same."""
    clock = clock or SystemClock()
    async with open_sqlite(path, clock) as store:
        log = SqliteEventLog(store.connection, clock)

        async def connect() -> Broker:
            return Broker(log, log, store)

        async def lose_data() -> None:
            database = sqlite3.connect(path)
            with database:
                tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
                for (table,) in database.execute(tables).fetchall():
                    database.execute(f"DELETE FROM {table}")
            database.close()

        yield EventFleet(connect, lose_data)


@asynccontextmanager
async def redis_events(url: str, prefix: str) -> AsyncIterator[EventFleet]:
    """Share a Redis, each broker with a pool of its own."""
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(connect_redis(url))

        async def connect() -> Broker:
            client = await stack.enter_async_context(connect_redis(url))
            log = RedisEventLog(client, prefix)
            return Broker(log, log, RedisStore(client, prefix, SystemClock(), Notebook()))

        async def lose_data() -> None:
            for _, primary in await plain.primaries():
                await primary.execute_command("FLUSHALL")

        yield EventFleet(connect, lose_data)


@asynccontextmanager
async def sealed_events(inner: EventFleet) -> AsyncIterator[EventFleet]:
    """Seal what the brokers of another fleet share."""
    seal = Seal([SealKey("k1", os.urandom(32))])

    async def connect() -> Broker:
        broker = await inner.connect()
        return replace(broker, log=SealedEventLog(broker.log, seal, ENTRIES, Notebook()))

    yield EventFleet(connect, inner.lose_data)
