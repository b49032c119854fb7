"""Open the configured store and its event log, and prove that they can be used."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import NamedTuple

from broker.adapters.redis.at_rest import RedisAtRest
from broker.adapters.redis.client import connect_redis
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.at_rest import SqliteAtRest
from broker.adapters.sqlite.event_log import SqliteEventLog
from broker.adapters.sqlite.store import StoreInUse, open_sqlite
from broker.adapters.storage.seal import Seal
from broker.adapters.system import SystemClock
from broker.app.at_rest.seal_keys import proven_keys
from broker.app.errors import CannotStart, StoreTaken
from broker.app.storage import Storage, storage_in
from broker.config.mapping import catalog
from broker.config.schema import Config
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.at_rest import AtRest
from broker.domain.ports.event_log import EventStore
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Store
from broker.domain.ports.tracer import NO_TRACER, Tracer
from broker.domain.stores.redis_address import Logins

STORE_PATIENCE_SECONDS = 5.0
"""How long a starting broker waits for its store."""


class Connected(NamedTuple):
    """One store, unsealed."""

    store: Store
    events: EventStore
    at_rest: AtRest


@asynccontextmanager
async def open_store(
    config: Config,
    clock: SystemClock,
    observer: Observer,
    logins: Logins | None = None,
    tracer: Tracer = NO_TRACER,
    identity_of: Callable[[str], str] | None = None,
) -> AsyncIterator[Storage]:
    """Open the configured store and its event log, sealed; prove that it answers and our keys open it.

    The observer is told if a crash of the store may lose permanent codes of suites, or if it has fewer
    replicas than are to acknowledge writes. `identity_of` tells who has a name after reloads.
    """
    configured = catalog(config)
    async with AsyncExitStack() as stack:
        inner, events, _ = await connect(stack, config, clock, observer, logins, tracer)
        await _wait_for(inner, config, observer)
        try:
            seal = Seal(await proven_keys(inner, config))
            must_last = configured.suites or config.store.replicas_acknowledge
            if must_last and (problem := await inner.durability_problem()):
                observer.durability_limited(problem)
        except StoreUnavailable as error:
            # It answers, but accepts no writes: a replica, a full memory, or a user without the right.
            raise CannotStart(f"store.url: STORE_UNAVAILABLE: {error.message}") from None
        storage = storage_in(inner, events, seal, observer, identity_of or configured.identity)
        yield replace(storage, seconds=inner.seconds) if isinstance(inner, RedisStore) else storage


async def connect(
    stack: AsyncExitStack,
    config: Config,
    clock: SystemClock,
    observer: Observer,
    logins: Logins | None = None,
    tracer: Tracer = NO_TRACER,
) -> Connected:
    """Open the store and its event log, unsealed; the stack closes them. Raises `CannotStart`.

    New connections use `logins` as they are by then; without them the configuration's.
    """
    if config.store.is_embedded:
        try:
            embedded = await stack.enter_async_context(open_sqlite(config.store.path, clock, tracer))
        except StoreInUse as error:
            raise StoreTaken(f"store.url: {error}") from None
        except (OSError, sqlite3.Error) as error:
            raise CannotStart(f"store.url: {error}") from None
        connection = embedded.connection
        return Connected(embedded, SqliteEventLog(connection, clock), SqliteAtRest(connection))
    logins = logins or Logins(config.store.login, config.store.sentinel_login)
    client = await stack.enter_async_context(connect_redis(config.store.address, logins, observer, tracer))
    prefix, replicas = config.store.prefix, config.store.replicas_acknowledge
    return Connected(
        RedisStore(client, prefix, clock, observer, replicas_acknowledge=replicas),
        RedisEventLog(client, prefix, observer, replicas_acknowledge=replicas),
        RedisAtRest(client, prefix),
    )


async def _wait_for(store: Store, config: Config, observer: Observer) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + STORE_PATIENCE_SECONDS
    for attempt in count(1):
        try:
            await store.ping()
        except StoreUnavailable as error:
            if clock() > deadline:
                raise CannotStart(
                    f"store.url: STORE_UNAVAILABLE: {config.store.place} does not answer,"
                    f" tried {attempt} times in {STORE_PATIENCE_SECONDS:.0f} s: {error.message}"
                ) from None
            observer.store_awaited(attempt, error)
            await asyncio.sleep(min(attempt * 0.25, 1))
        else:
            return
