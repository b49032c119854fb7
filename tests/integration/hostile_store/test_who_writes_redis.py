"""Somebody writes to Redis, whatever and wherever: nobody is told more than an error, and all of it heals."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from redis.asyncio import Redis
from wecom_broker import Broker, errors

from broker.app.running_broker import running_broker
from broker.config.load import parse_config
from broker.simulator.server import running_simulator
from tests.integration.hostile_store.attacks import ATTACKS, TRIED, keys_by_part, loot
from tests.integration.suites.one_client import use
from tests.integration.suites.three_kinds import (
    CASES,
    CRM,
    MARKET,
    TAILORED,
    Kinds,
    Simulated,
    call_back,
    installed,
    tables,
    three_kinds_world,
)
from tests.kit.every_rpc import call_every_rpc
from tests.kit.processes.fleet import until
from tests.kit.processes.redis_server import RedisServer

HEALED_WITHIN_SECONDS = 60
BAD = ("INTERNAL", "UNKNOWN", "DATA_LOSS")

pytestmark = pytest.mark.slow


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


@dataclass
class Fleet:
    """Two brokers on one Redis, which an attacker reaches too."""

    kinds: list[Kinds]
    clients: list[Broker]
    redis: Redis
    config: dict[str, Any]


@asynccontextmanager
async def fleet(server: RedisServer) -> AsyncIterator[Fleet]:
    world = three_kinds_world()
    async with running_simulator(world) as url, Redis(port=server.port) as redis:
        config = tables(url, server.url, refresh={"cooldown_seconds": 0.01}, wecom={"timeout_seconds": 5})
        async with running_broker(parse_config(config)) as one, running_broker(parse_config(config)) as two:
            call_back(world, f"http://127.0.0.1:{one.http_port}/callback")
            for suite in (MARKET, TAILORED):
                world.console.tickets.push(suite)
            await world.callbacks.outbox.settled()
            kinds = [Kinds(world, url, broker.grpc_addresses[0]) for broker in (one, two)]
            async with (
                Broker(kinds[0].address, timeout=10) as first,
                Broker(kinds[1].address, timeout=10) as second,
            ):
                await installed(kinds[0], first)
                yield Fleet(kinds, [first, second], redis, config)


async def works(kinds: Kinds, client: Broker) -> str:
    """Use each kind of app; return what went wrong first."""
    for name, case in CASES.items():
        try:
            async with asyncio.timeout(15):
                await use(client, case.place(kinds), Simulated(kinds, case))
        except (errors.BrokerError, TimeoutError) as error:
            return f"{name}: {error!r}"
    return ""


async def all_told(kinds: Kinds) -> list[str]:
    """Call each rpc for each kind of app; return what is answered."""
    async with grpc.aio.insecure_channel(kinds.address) as channel:
        return [
            line
            for app in (CRM, MARKET, TAILORED)
            async for line in call_every_rpc(channel, app, lambda field: f"of {field}", (), patience=0.05)
        ]


@pytest.mark.parametrize("attack", TRIED)
async def test_it_gets_nothing_or_an_error_and_all_of_it_heals(
    redis_server: RedisServer, capfd: pytest.CaptureFixture[str], attack: str
) -> None:
    async with fleet(redis_server) as running:
        kept = await loot(running.redis)
        assert "" == await works(running.kinds[0], running.clients[0])
        keys = await keys_by_part(running.redis)
        await ATTACKS[attack](running.redis, keys, kept)

        told = [*chain.from_iterable(await asyncio.gather(*map(all_told, running.kinds)))]
        said = [""]

        async def healed() -> bool:
            each = zip(running.kinds, running.clients, strict=True)
            # One after the other: both use the same groups and users.
            said[0] = "".join([await works(*one) for one in each])
            return not said[0]

        with suppress(AssertionError):
            await until(healed, within=HEALED_WITHIN_SECONDS, pause=0.5)
        assert "" == said[0]
    printed = "".join(capfd.readouterr())

    assert [] == [line for line in told if any(bad in line.split() for bad in BAD)]
    assert "Traceback" not in printed
    assert "unexpected" not in printed
