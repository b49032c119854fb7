"""`replicas_acknowledge`: what must not be lost is on replicas before it counts, and if not, that is told."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from broker.adapters.redis import batched_writes
from broker.adapters.redis.batched_writes import COPY
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.domain.events.log import Entry
from broker.domain.ports.observer import Durability
from tests.contract.events import APP, KEEP, append, words
from tests.contract.making import LONG, NAME, held, record, taken
from tests.contract.observer import Notebook
from tests.contract.waiting import Stopwatch, eventually
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import STEADY_MS, ClusterSet, ask
from tests.kit.redis_at import connect_redis

PROVEN = (Durability.PROVEN, "")
LATE = (Durability.LATE, "0 of 1 replicas had it within 250 ms")


@dataclass(frozen=True)
class Opened:
    """A broker that waits for a replica."""

    store: RedisStore
    log: RedisEventLog
    notebook: Notebook


@asynccontextmanager
async def opened(url: str, replicas: int = 1) -> AsyncIterator[Opened]:
    notebook = Notebook()
    async with connect_redis(url, notebook) as client:
        store = RedisStore(client, "test", SystemClock(), notebook, replicas_acknowledge=replicas)
        log = RedisEventLog(client, "test", notebook, replicas_acknowledge=replicas)
        yield Opened(store, log, notebook)


@dataclass(frozen=True)
class Pair:
    """A primary and its replica."""

    primary: RedisServer
    replica: RedisServer

    def promote(self) -> None:
        """Kill the primary, and make the replica the next one."""
        self.primary.kill()
        ask(self.replica.port, "REPLICAOF", "NO", "ONE")


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    options = ("--repl-diskless-sync-delay", "0")
    with RedisServer(tmp_path / "one", *options) as one, RedisServer(tmp_path / "two", *options) as two:
        ask(two.port, "REPLICAOF", "127.0.0.1", one.port)

        async def is_linked() -> bool:
            async with Redis(port=one.port) as redis:
                await redis.set("written", "before")
                return bool(await redis.execute_command("WAIT", 1, 1000) == 1)

        await eventually(is_linked, within=10)
        yield Pair(one, two)


PATIENCE = timedelta(seconds=8)
"""How long tests wait for a replica that is well; a patient client waits longer for its answer."""


@contextmanager
def patience_of(duration: timedelta) -> Iterator[None]:
    """Wait that long for a replica, until the context exits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batched_writes, "COPY", duration)
        yield


@pytest.fixture(autouse=True)
def _patient(patient_client: None) -> Iterator[None]:
    """A busy machine is no outage, and makes no replica lag."""
    with patience_of(PATIENCE):
        yield


async def test_what_counts_outlives_the_primary(pair: Pair) -> None:
    durable = [replace(record(1, name=f"code {n}"), durable=True) for n in range(20)]
    async with opened(pair.primary.url) as it:
        positions = [await append(it.log, payload=b"a%d" % n) for n in range(20)]
        assert all([await it.store.offer(one) for one in durable])
        lease = await taken(it.store)
        assert await it.store.commit(replace(record(lease.fence), durable=True), lease)
        pair.promote()

        assert [PROVEN] * 41 == it.notebook.replicated_writes
    async with opened(pair.replica.url, replicas=0) as it:
        assert positions == [entry.position for entry in await it.log.read(APP, "", 99)]
        assert {one.name for one in durable} == set(await it.store.load([one.name for one in durable]))
        assert (lease.fence, b"payload") == await held(it.store)


async def test_without_the_setting_an_acknowledged_event_dies_with_the_primary(pair: Pair) -> None:
    async with opened(pair.primary.url, replicas=0) as it:
        await append(it.log, payload=b"a1")
        await eventually(lambda: copied(pair, 1))
        pair.replica.pause()
        ask(pair.primary.port, "CLIENT KILL", "TYPE", "replica")
        await append(it.log, payload=b"a2")
        pair.primary.kill()
        pair.replica.resume()
        ask(pair.replica.port, "REPLICAOF", "NO", "ONE")

        assert [] == it.notebook.replicated_writes
    async with opened(pair.replica.url, replicas=0) as it:
        assert "a1" == words(await it.log.read(APP, "", 9))


async def copied(pair: Pair, count: int) -> bool:
    return bool(ask(pair.replica.port, "XLEN", f"test:{{events:{APP}}}:log") == count)


async def test_a_replica_that_lags_is_waited_for_briefly_and_told(pair: Pair) -> None:
    async with opened(pair.primary.url) as it:
        await append(it.log)
        pair.replica.pause()
        try:
            with patience_of(COPY):
                watch = Stopwatch()
                assert await append(it.log)
                assert watch.seconds >= COPY.total_seconds() * 0.9
                assert await it.store.offer(replace(record(1), durable=True))
        finally:
            pair.replica.resume()
        assert [PROVEN, LATE, LATE] == it.notebook.replicated_writes
        assert (1, b"payload") == await held(it.store)


async def test_what_is_not_written_and_what_may_be_lost_waits_for_nobody(pair: Pair) -> None:
    entry = Entry(APP, "a", "text", b"a1")
    async with opened(pair.primary.url) as it:
        for _ in range(3):
            await it.log.append(entry, key="once", once_in=LONG, keep=KEEP, notify=[])
        await it.store.offer(record(5))
        assert not await it.store.offer(replace(record(5), durable=True))

    assert [PROVEN] == it.notebook.replicated_writes


async def test_what_cannot_be_had_is_told(tmp_path: Path) -> None:
    with patience_of(COPY), RedisServer(tmp_path) as alone:
        async with opened(alone.url) as it:
            assert await append(it.log)
            assert [LATE] == it.notebook.replicated_writes
    with RedisServer(tmp_path / "without", "--rename-command", "WAIT", "") as without:
        async with opened(without.url) as it:
            assert await append(it.log)
            [(outcome, problem)] = it.notebook.replicated_writes

    assert Durability.UNPROVEN is outcome
    assert "unknown command" in problem


async def test_a_start_tells_that_there_are_too_few_replicas(tmp_path: Path) -> None:
    with RedisServer(tmp_path, append_only=True) as alone:
        async with opened(alone.url) as it:
            problem = await it.store.durability_problem()
            assert "replicas_acknowledge is 1, and a primary has 0 replicas" == problem
        async with opened(alone.url, replicas=0) as it:
            assert "" == await it.store.durability_problem()


@pytest.fixture
def members(tmp_path: Path) -> Iterator[ClusterSet]:
    with ClusterSet(tmp_path, replicas=3, down_after_ms=STEADY_MS) as members:
        yield members


@pytest.mark.slow
async def test_each_shard_of_a_cluster_has_its_replicas(members: ClusterSet) -> None:
    names = [f"{NAME} {n}" for n in range(12)]
    async with opened(members.url) as it:
        assert all([await it.store.offer(replace(record(1, name=name), durable=True)) for name in names])
        for app in ("crm", "market", "tailored", "contacts"):
            assert await append(it.log, app=app)

        assert len({it.store._client.shard(it.store._keys.record(name)) for name in names}) == 3
    assert [PROVEN] * 16 == it.notebook.replicated_writes
