"""Open the configured store and its event log, and prove that they can be used."""

import asyncio
import base64
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from broker.adapters.redis.client import connect_redis
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.event_log import SqliteEventLog
from broker.adapters.sqlite.store import StoreInUse, open_sqlite
from broker.adapters.storage.seal import Seal, SealBroken, SealKey
from broker.adapters.storage.sealed_event_log import SealedEventLog
from broker.adapters.system import SystemClock
from broker.app.errors import CannotStart
from broker.app.storage import Storage, storage_in
from broker.config.schema import Config
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Record, Store

STORE_PATIENCE_SECONDS = 5.0
"""How long a starting broker waits for its store."""
SEAL_CHECK = "seal-check"


@asynccontextmanager
async def open_store(
    config: Config, clock: SystemClock, observer: Observer
) -> AsyncIterator[tuple[Storage, EventLog]]:
    """Open the configured store and its event log, sealed; prove that it answers and our keys open it."""
    async with AsyncExitStack() as stack:
        inner: Store
        log: EventLog
        if config.store.is_embedded:
            try:
                embedded = await stack.enter_async_context(open_sqlite(config.store.path, clock))
            except (StoreInUse, OSError, sqlite3.Error) as error:
                raise CannotStart(f"store.url: {error}") from None
            inner, log = embedded, SqliteEventLog(embedded.connection, clock)
        else:
            client = await stack.enter_async_context(connect_redis(config.store.redis_url))
            inner = RedisStore(client, config.store.prefix, clock, observer)
            log = RedisEventLog(client, config.store.prefix)
        await _wait_for(inner, config)
        seal = Seal(_seal_keys(config))
        try:
            await _check_seal(inner, seal)
        except StoreUnavailable as error:
            # It answers, but takes no writes: a replica, a full memory, or a user who may not.
            raise CannotStart(f"store.url: STORE_UNAVAILABLE: {error.message}") from None
        yield storage_in(inner, seal, observer), SealedEventLog(log, seal, observer)


async def _wait_for(store: Store, config: Config) -> None:
    deadline = asyncio.get_running_loop().time() + STORE_PATIENCE_SECONDS
    while True:
        try:
            await store.ping()
        except StoreUnavailable as error:
            if asyncio.get_running_loop().time() > deadline:
                raise CannotStart(
                    f"store.url: STORE_UNAVAILABLE: {config.store.place} does not answer: {error.message}"
                ) from None
            await asyncio.sleep(0.25)
        else:
            return


async def _check_seal(store: Store, seal: Seal) -> None:
    """Refuse to start with a key that does not open what is in the store."""
    far = datetime(9999, 1, 1, tzinfo=UTC)
    await store.offer(Record(SEAL_CHECK, 1, seal.close(SEAL_CHECK, b"sealed"), far))
    record = (await store.load([SEAL_CHECK])).get(SEAL_CHECK)
    if record is None:
        return
    try:
        seal.open(SEAL_CHECK, record.payload)
    except SealBroken as error:
        raise CannotStart(f"store.seal_keys: no key opens what is in the store: {error}") from None
    if not seal.is_current(record.payload):
        await store.replace(Record(SEAL_CHECK, record.fence, seal.close(SEAL_CHECK, b"sealed"), far))


def _seal_keys(config: Config) -> list[SealKey]:
    """Return the configured keys; for the embedded store one of its own, made at first start (0600)."""
    if config.store.seal_keys:
        return [SealKey(key.id, key.key_bytes()) for key in config.store.seal_keys]
    path = config.store.path.with_name(config.store.path.name + ".key")
    try:
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(os.urandom(32)))
        key = base64.b64decode(path.read_bytes(), validate=True)
    except (OSError, ValueError) as error:
        raise CannotStart(f"store.url: the key file {path} cannot be used: {error}") from None
    return [SealKey("embedded", key)]
