"""What a store does for a request has a span with its name, and nothing of what is kept."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.sqlite.event_log import SqliteEventLog
from broker.adapters.sqlite.store import open_sqlite
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.event_log import EventStore
from broker.domain.ports.store import Store
from tests.contract.events import append
from tests.contract.making import LONG, NAME, record, taken
from tests.contract.observer import Notebook
from tests.kit.processes.redis_server import RedisServer
from tests.kit.redis_at import connect_redis
from tests.kit.secrecy import forms, leaks
from tests.kit.spans import Spans

PAYLOAD = b"what-nobody-may-see"
STEPS = {"store acquire", "store commit", "store offer", "store load"}
APPEND = {"redis": "store events/append", "sqlite": "store append"}


@asynccontextmanager
async def stores(
    kind: str, server: RedisServer, folder: Path, spans: Spans
) -> AsyncIterator[tuple[Store, EventStore]]:
    if kind == "sqlite":
        async with open_sqlite(folder / "store.db", SystemClock(), spans.tracer) as store:
            yield store, SqliteEventLog(store.connection, SystemClock())
        return
    prefix = f"test-{secrets.token_hex(4)}"
    async with connect_redis(server.url, tracer=spans.tracer) as client:
        yield RedisStore(client, prefix, SystemClock(), Notebook()), RedisEventLog(client, prefix)


@pytest.mark.parametrize("kind", APPEND)
async def test_each_step_has_a_span_without_what_is_kept(
    kind: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    spans = Spans()
    async with stores(kind, redis_server, tmp_path, spans) as (store, log):
        await store.load([NAME])
        assert [] == list(spans), "outside a request there are none"
        with spans.span_of_caller() as work:
            lease = await taken(store)
            assert await store.commit(record(lease.fence, PAYLOAD), lease)
            assert await store.offer(replace(record(lease.fence + 1, PAYLOAD), durable=True))
            await store.load([NAME])
            await append(log, "a", PAYLOAD)

    steps = [span for span in spans if span.name != "work"]
    assert STEPS | {APPEND[kind]} == {span.name for span in steps}
    assert {work.span_id} == {span.parent and span.parent.span_id for span in steps}
    needles = {"payload": forms(PAYLOAD), "name": {NAME.encode()}, "owner": forms(lease.owner)}
    assert set() == leaks(needles, {"spans": spans.everything()})


async def test_a_store_that_is_away_is_an_error_without_its_address() -> None:
    spans = Spans()
    async with connect_redis("redis://127.0.0.1:1/0", tracer=spans.tracer) as client:
        with spans.span_of_caller(), pytest.raises(StoreUnavailable):
            await RedisStore(client, "test", SystemClock(), Notebook()).acquire(NAME, LONG)

    assert "STORE_UNAVAILABLE" == dict(spans.one("store acquire").attributes or {})["error.type"]
    assert b"127.0.0.1" not in spans.everything()
