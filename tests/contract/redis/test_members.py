"""A client of a Cluster that does not know (any more) which member has which keys."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from broker.adapters.redis import batched_writes
from broker.adapters.redis.client import RedisClient
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Durability
from tests.contract.making import held, record
from tests.contract.observer import Notebook
from tests.contract.waiting import eventually
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import STEADY_MS, ClusterSet, ask
from tests.kit.redis_at import connect_redis

NAMES = [f"name {n}" for n in range(30)]
"""Each of the three primaries has some of them."""


@pytest.fixture
def members(tmp_path: Path) -> Iterator[ClusterSet]:
    with ClusterSet(tmp_path, replicas=2, down_after_ms=STEADY_MS) as members:
        yield members


@pytest.fixture(autouse=True)
def _patient(patient_client: None) -> None:
    """A busy machine is no outage."""


@dataclass(frozen=True)
class Opened:
    """One broker's store."""

    client: RedisClient
    store: RedisStore
    notebook: Notebook

    async def writes(self, name: str, fence: int, *, durable: bool = True) -> bool:
        """Return whether it was written; False while the store is unavailable."""
        try:
            return await self.store.offer(replace(record(fence, name=name), durable=durable))
        except StoreUnavailable:
            return False

    async def names_at(self, members: ClusterSet) -> Mapping[RedisServer, str]:
        """Return a name for each primary, in their order."""
        await self.client.primaries()
        at = {self.client.shard(self.store._keys.record(name)): name for name in NAMES}
        return {server: at[f"127.0.0.1:{server.port}"] for server in members.servers[:3]}

    def connect_anew(self) -> None:
        """Do what a failure leads to, once a second has gone by since the last time."""
        self.client._reconnect_after = 0.0
        self.client._reconnect(self.client._redis, "")

    async def is_not_read(self, names: Iterable[str]) -> bool:
        """Return whether they cannot be read."""
        try:
            await self.store.load(list(names))
        except StoreUnavailable:
            return True
        finally:
            # What is under way at the others is not to be cut off by a reconnect that comes too early.
            if under_way := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(under_way)
        return False


@asynccontextmanager
async def opened(members: ClusterSet, replicas: int = 0) -> AsyncIterator[Opened]:
    notebook = Notebook()
    async with connect_redis(members.url, notebook) as client:
        store = RedisStore(client, "test", SystemClock(), notebook, replicas_acknowledge=replicas)
        yield Opened(client, store, notebook)


@pytest.mark.slow
@pytest.mark.parametrize("durable", [True, False])
async def test_after_a_reconnect_a_dead_primary_fails_no_write_at_another(
    members: ClusterSet, durable: bool
) -> None:
    async with opened(members) as it:
        at = await it.names_at(members)
        dead, *_ = at
        dead.kill()
        for fence in range(1, 4):
            it.connect_anew()
            written = await asyncio.gather(*(it.writes(at[one], fence, durable=durable) for one in at))
            assert [False, True, True] == written


@pytest.mark.slow
async def test_after_a_reconnect_a_hung_primary_fails_no_write_at_another(members: ClusterSet) -> None:
    async with opened(members) as it:
        at = await it.names_at(members)
        hung, *others = at
        hung.pause()
        it.connect_anew()

        # A member that is asked at random may be the one that hangs: then the next second brings another.
        async def all_are_written() -> bool:
            it.connect_anew()
            return all(await asyncio.gather(*(it.writes(at[one], next(fences)) for one in others)))

        fences = count(1)
        await eventually(all_are_written, within=30)
        hung.resume()


@pytest.mark.slow
async def test_after_a_reconnect_reading_at_a_dead_primary_leaves_no_other_alone(members: ClusterSet) -> None:
    async with opened(members) as it:
        at = await it.names_at(members)
        one, other, dead = at
        assert await it.writes(at[one], 1)
        dead.kill()
        it.connect_anew()
        assert await it.is_not_read(at.values())
        it.connect_anew()

        assert (1, b"payload") == await held(it.store, at[one])
        assert None is await held(it.store, at[other])


@pytest.mark.slow
async def test_after_a_reconnect_each_write_is_proved_by_its_own_primary(
    members: ClusterSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine makes no replica lag; the primary without one costs this much.
    monkeypatch.setattr(batched_writes, "COPY", timedelta(seconds=4))
    async with opened(members, replicas=1) as it:
        at = await it.names_at(members)
        assert [1, 1, 0] == [ask(one.port, "INFO", "replication")["connected_slaves"] for one in at]
        it.connect_anew()
        assert all(await asyncio.gather(*(it.writes(name, 1) for name in at.values())))

    assert [Durability.LATE, Durability.PROVEN, Durability.PROVEN] == sorted(
        outcome for outcome, _ in it.notebook.replicated_writes
    )


@pytest.mark.slow
async def test_the_first_writes_bring_their_script_to_each_primary(members: ClusterSet) -> None:
    async with opened(members) as it:
        assert all(await asyncio.gather(*(it.writes(name, 1) for name in NAMES)))
