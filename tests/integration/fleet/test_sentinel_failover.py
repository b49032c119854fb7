"""A primary that dies with what no replica has yet: brokers bring back what they hold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from tests.integration.conftest import Figures
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import (
    APP,
    CHILD_TOKEN,
    PREFIX,
    Replica,
    SimulatorProcess,
    child,
    configuration,
    connect,
    until,
)
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import SentinelSet, ask

pytestmark = pytest.mark.slow


def generation_in(server: RedisServer, corp_id: str) -> int:
    """Return the number of the corp's token in this server, 0 if it has none."""
    with Redis(port=server.port) as client:
        for key in client.scan_iter(f"{PREFIX}:{{access_token:{APP}:*{corp_id}*:record"):
            return int(client.hget(key, "fence") or 0)
    return 0


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[SimulatorProcess, SentinelSet, list[Replica]]]:
    """Two brokers, with a primary and one replica."""
    with ExitStack() as stack:
        wecom = stack.enter_context(SimulatorProcess(children=2))
        servers = stack.enter_context(SentinelSet(tmp_path / "servers"))
        config = configuration(wecom.url, servers.url)
        brokers = [BrokerProcess(tmp_path / f"broker-{number}", config, forked=True) for number in range(2)]
        for broker in brokers:
            stack.push(broker.__exit__)
            broker.launch()
        for broker in brokers:
            broker.await_ready()
        async with connect(*(broker.address for broker in brokers)) as replicas:
            yield wecom, servers, replicas


async def test_a_token_that_only_the_dead_primary_had_is_brought_back_and_not_fetched_again(
    two: tuple[SimulatorProcess, SentinelSet, list[Replica]], figures: Figures
) -> None:
    wecom, servers, (holder, other) = two
    [replica] = [server for server in servers.servers if server is not servers.primary()]
    kept = await holder.token(child(1))
    await until(lambda: generation_in(replica, child(1)) == kept.generation)
    primary = servers.primary()
    replica.pause()
    ask(primary.port, "CLIENT KILL", "TYPE", "replica")  # what is in a socket would be read later
    lost = await holder.token(child(2))
    assert lost.generation == generation_in(primary, child(2))
    primary.kill()
    await asyncio.to_thread(replica.resume)

    took = await until(lambda: generation_in(replica, child(2)) == lost.generation)

    await until(lambda: replica is servers.primary())
    assert [kept.value, lost.value] == [(await other.token(child(number))).value for number in (1, 2)]
    assert 2 == wecom.calls()[CHILD_TOKEN]
    figures(brought_back_after_s=took)
