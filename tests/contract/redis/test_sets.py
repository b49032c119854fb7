"""Sentinel and Cluster: a failover is over in seconds, for commands and notices alike."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.event_log import RedisEventLog
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.store import Lease, Notice, NoticeKind
from tests.contract.events import append, words
from tests.contract.making import LONG, held, record, taken
from tests.contract.observer import Notebook
from tests.contract.waiting import Ear, eventually, listening
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import STEADY_MS, ClusterSet, SentinelSet, ask
from tests.kit.redis_at import connect_redis

SECONDS = 12.0
"""How long a failover may take on a busy machine: two seconds for the servers, and as much for the broker."""
NAMES = [f"name {n}" for n in range(12)]
"""In a cluster each of the three primaries has some of them."""


@dataclass(frozen=True)
class Opened:
    """One broker's store and event log."""

    store: RedisStore
    log: RedisEventLog
    notebook: Notebook
    client: RedisClient


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Opened]:
    notebook = Notebook()
    async with connect_redis(url, notebook) as client:
        store = RedisStore(client, "test", SystemClock(), notebook)
        yield Opened(store, RedisEventLog(client, "test"), notebook, client)


@pytest.fixture(params=["sentinel", "cluster"])
def own_set(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SentinelSet | ClusterSet]:
    """Servers that the test may kill, each primary with a replica."""
    if request.param == "sentinel":
        with SentinelSet(tmp_path) as sentinels:
            yield sentinels
    else:
        with ClusterSet(tmp_path, replicas=3) as members:
            yield members


def server_of(servers: SentinelSet | ClusterSet, it: Opened, key: str) -> RedisServer:
    """Return the primary that has the key."""
    if isinstance(servers, SentinelSet):
        return servers.primary()
    port = int(it.client.shard(key).rpartition(":")[2])
    return next(server for server in servers.servers if server.port == port)


async def replicated(servers: SentinelSet | ClusterSet) -> None:
    """Return once the replicas have what was written before."""

    async def is_level() -> bool:
        found = [ask(server.port, "INFO", "replication") for server in servers.servers]
        behind = [info for info in found if info["role"] == "slave"]
        offsets = {
            info["master_replid"]: info["master_repl_offset"] for info in found if info["role"] == "master"
        }
        return all(info["slave_repl_offset"] == offsets[info["master_replid"]] for info in behind)

    await eventually(is_level, within=SECONDS)


async def writes(it: Opened, name: str, fence: int) -> bool:
    """Return whether it is written, by this attempt or by one whose answer was lost."""
    try:
        if await it.store.offer(record(fence, name=name)):
            return True
        found = await held(it.store, name)
        return found is not None and found[0] == fence
    except StoreUnavailable:
        return False


async def hears(ear: Ear, notice: Notice) -> None:
    """Return once it is heard."""
    while await ear.next(within=SECONDS) != notice:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_after_a_failover_everything_is_there_and_told(
    own_set: SentinelSet | ClusterSet, how: str
) -> None:
    async with opened(own_set.url) as it, opened(own_set.url) as other, listening(other.store) as ear:
        for name in NAMES:
            await eventually(lambda name=name: writes(it, name, 1), within=SECONDS)
        lost = await taken(it.store, "leased")
        await append(it.log, "a", b"a1")
        await replicated(own_set)
        # The one that the subscription of the other broker is at.
        primary = server_of(own_set, other, other.store._keys.probe)
        getattr(primary, how)()
        try:
            for name in NAMES:
                await eventually(lambda name=name: writes(it, name, 2), within=SECONDS)
            await hears(ear, Notice(NoticeKind.CONNECTED))
            for name in NAMES:
                assert await it.store.offer(record(3, name=name))
                await hears(ear, Notice(NoticeKind.COMMITTED, name, 3))
            await eventually(lambda: reads(other, 1), within=SECONDS)
            assert "a1" == words(await other.log.read("crm", "", 9))
            assert (await taken(it.store, "another", floor=lost.fence)).fence > lost.fence
            assert dict.fromkeys(NAMES, 3) == {
                name: found.fence for name, found in (await other.store.load(NAMES)).items()
            }
            assert ["lost", "back"] == other.notebook.told
        finally:
            if how == "pause":
                primary.resume()


async def reads(it: Opened, count: int) -> bool:
    try:
        return len(await it.log.read("crm", "", 9)) == count
    except StoreUnavailable:
        return False


@pytest.mark.slow
async def test_a_primary_that_comes_back_as_a_replica_is_left(own_set: SentinelSet | ClusterSet) -> None:
    async with opened(own_set.url) as it:
        for name in NAMES:
            await eventually(lambda name=name: writes(it, name, 1), within=SECONDS)
        await replicated(own_set)
        old = server_of(own_set, it, it.store._keys.record(NAMES[0]))
        old.pause()
        await eventually(lambda: writes(it, NAMES[0], 2), within=SECONDS)
        old.resume()

        async def is_replica() -> bool:
            return bool(ask(old.port, "INFO", "replication")["role"] == "slave")

        await eventually(is_replica, within=SECONDS)
        for fence in range(3, 40):
            await eventually(lambda fence=fence: writes(it, NAMES[0], fence), within=SECONDS)
        assert (39, b"payload") == await held(it.store, NAMES[0])


async def replicas_of(servers: SentinelSet | ClusterSet, primary: RedisServer) -> list[RedisServer]:
    """Return those that copy from the primary."""
    found = [(server, ask(server.port, "INFO", "replication")) for server in servers.servers]
    return [server for server, info in found if info.get("master_port") == primary.port]


def cut_off(replica: RedisServer, primary: RedisServer) -> None:
    """Let nothing that is written from now on outlive the primary."""
    replica.pause()
    ask(primary.port, "CLIENT KILL", "TYPE", "replica")  # what is in a socket would be read later


@pytest.mark.slow
async def test_of_two_holders_after_a_failover_only_the_newer_commits(
    own_set: SentinelSet | ClusterSet,
) -> None:
    name = NAMES[0]
    async with opened(own_set.url) as it, opened(own_set.url) as other:
        await eventually(lambda: writes(it, name, 1), within=SECONDS)
        await replicated(own_set)
        primary = server_of(own_set, it, it.store._keys.record(name))
        [replica] = await replicas_of(own_set, primary)
        cut_off(replica, primary)
        first = await taken(it.store, name)
        primary.kill()
        replica.resume()

        async def leased() -> Lease | None:
            try:
                found = await other.store.acquire(name, LONG)
            except StoreUnavailable:
                return None
            return found if isinstance(found, Lease) else None

        async def commits(broker: Opened, lease: Lease, payload: bytes) -> bool | None:
            try:
                return await broker.store.commit(record(lease.fence, payload, name), lease)
            except StoreUnavailable:
                return None

        second = await eventually(leased, within=SECONDS)
        assert second
        assert second.fence > first.fence
        assert False is await eventually(
            lambda: commits(it, first, b"older"), lambda found: found is not None, within=SECONDS
        )
        assert await commits(other, second, b"newer")
        assert False is await commits(it, first, b"older")
        assert (second.fence, b"newer") == await held(it.store, name)


@pytest.mark.slow
async def test_sentinels_may_die_as_long_as_one_answers(tmp_path: Path) -> None:
    with SentinelSet(tmp_path, down_after_ms=STEADY_MS) as sentinels:
        sentinels.kill_sentinel(0)
        sentinels.kill_sentinel(1)
        async with opened(sentinels.url) as it, listening(it.store):
            assert await it.store.offer(record(1))
