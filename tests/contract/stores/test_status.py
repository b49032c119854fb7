"""What a store says of its servers."""

from datetime import timedelta

import pytest

from broker.adapters.redis.servers.replication import primary_of
from broker.adapters.redis.store import RedisStore
from broker.adapters.system import SystemClock
from broker.domain.ports.store import Store
from broker.domain.stores.redis_address import Topology
from broker.domain.stores.status import Primary, StoreStatus
from tests.contract.observer import Notebook
from tests.contract.waiting import eventually
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import ClusterSet, SentinelSet
from tests.kit.redis_at import connect_redis


async def status_at(url: str) -> StoreStatus:
    async with connect_redis(url) as client:
        return await RedisStore(client, "test", SystemClock(), Notebook()).status()


async def test_every_store_names_its_topology(store: Store, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["fleet"].removeprefix("sealed ")
    topologies = {"memory": Topology.SQLITE, "redis": Topology.STANDALONE}

    assert (topologies.get(kind) or Topology(kind)) == (await store.status()).topology


async def test_the_primary_of_a_standalone_server_is_its_address(redis_server: RedisServer) -> None:
    assert StoreStatus(Topology.STANDALONE, (Primary(f"127.0.0.1:{redis_server.port}"),)) == await status_at(
        redis_server.url
    )


async def test_sentinels_name_the_primary_and_it_names_its_replicas(sentinel_server: SentinelSet) -> None:
    async def is_level() -> bool:
        [primary] = (await status_at(sentinel_server.url)).primaries
        level = primary.lag is not None and primary.lag <= timedelta(seconds=2)
        return level and (primary.replicas, primary.lag_bytes) == (1, 0)

    await eventually(is_level, within=10)
    [primary] = (await status_at(sentinel_server.url)).primaries
    assert f"127.0.0.1:{sentinel_server.primary().port}" == primary.address


async def test_a_cluster_has_a_primary_for_each_shard(cluster_server: ClusterSet) -> None:
    found = await status_at(cluster_server.url)

    assert {f"127.0.0.1:{member.port}" for member in cluster_server.servers} == {
        primary.address for primary in found.primaries
    }


async def test_a_store_that_is_away_has_its_topology_alone() -> None:
    assert StoreStatus(Topology.CLUSTER) == await status_at("redis+cluster://127.0.0.1:1,127.0.0.1:2")
    assert StoreStatus(Topology.SENTINEL) == await status_at("redis+sentinel://127.0.0.1:1/main")


def test_the_lag_is_that_of_the_replica_that_is_furthest_behind() -> None:
    told = {
        "connected_slaves": 3,
        "master_repl_offset": 1000,
        "slave0": {"state": "online", "offset": 990, "lag": 0},
        "slave1": {"state": "online", "offset": 400, "lag": 7},
        "slave2": {"state": "wait_bgsave", "offset": 0, "lag": 0},
    }

    assert Primary("h:1", 3, timedelta(seconds=7), 600) == primary_of("h:1", told)
    assert Primary("h:1") == primary_of("h:1", {"connected_slaves": 0, "master_repl_offset": 1000})
