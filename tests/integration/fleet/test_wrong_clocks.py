"""A replica whose machine's clock is hours off serves what the others serve, and fetches nothing for that."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from wecom_broker.v1 import admin_service_pb2 as admin_pb

from broker.adapters.system import SystemClock
from broker.app import running_broker as composition
from broker.app.running_broker import RunningBroker, running_broker
from broker.config.load import parse_config
from broker.simulator import Settings, World, demo_world, running_simulator
from broker.simulator.demo import PARENT
from tests.kit.processes.fleet import GETTOKEN, Replica, configuration, connect, until
from tests.kit.processes.redis_server import RedisServer

HOURS = 3 * 3600.0


@dataclass
class Machine:
    """The clock of one replica's machine."""

    off: float = 0.0

    def seconds(self) -> float:
        return time.time() + self.off


@dataclass
class Here:
    """A replica in this process."""

    client: Replica
    broker: RunningBroker
    machine: Machine

    async def clock(self) -> admin_pb.ClockStatus:
        return (await self.client.admin.GetStatus(admin_pb.GetStatusRequest())).clock


class Fleets:
    """Start replicas in this process, each on a machine of its own, over one Redis."""

    def __init__(
        self, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, wecom: str, store: str
    ) -> None:
        self._stack = stack
        self._monkeypatch = monkeypatch
        self._addresses = wecom, store

    async def start(self, off: float = 0.0) -> Here:
        machine = Machine(off)
        self._monkeypatch.setattr(composition, "SystemClock", lambda: SystemClock(machine.seconds))
        server = {"grpc": ["127.0.0.1:0"], "http": "127.0.0.1:0", "drain_seconds": 0}
        config = parse_config(configuration(*self._addresses, server=server))
        broker = await self._stack.enter_async_context(running_broker(config))
        (client,) = await self._stack.enter_async_context(connect(broker.grpc_addresses[0]))
        return Here(client, broker, machine)


@asynccontextmanager
async def fleets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World
) -> AsyncIterator[tuple[Fleets, RedisServer]]:
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer(tmp_path / "redis"))
        url = await stack.enter_async_context(running_simulator(world))
        yield Fleets(stack, monkeypatch, url, redis.url), redis


def fetches(world: World) -> int:
    return world.log.calls(GETTOKEN)


def living(world: World) -> set[str]:
    """Return the parent's tokens that WeCom takes."""
    return {token.value for token in world.tokens.alive(PARENT, world.now())}


@pytest.mark.parametrize("off", [HOURS, -HOURS], ids=["ahead", "behind"])
async def test_it_starts_with_the_fleets_time_and_says_that_its_machine_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    world = demo_world()
    async with fleets(tmp_path, monkeypatch, world) as (fleet, _):
        right, wrong = await fleet.start(), await fleet.start(off)
        first, same = await right.client.token(), await wrong.client.token()

        assert first.value == same.value
        assert first.expire_time == same.expire_time
        assert 1 == fetches(world)
        assert "store" == (await wrong.clock()).going_by
        assert f"this machine's is {HOURS:.0f} s" in (await wrong.clock()).problem
        assert "" == (await right.clock()).problem
        skew = wrong.broker.telemetry.metrics.registry.get_sample_value(
            "wecom_broker_clock_skew_seconds", {"clock": "machine"}
        )
        assert skew == pytest.approx(off, abs=2)


@pytest.mark.parametrize("off", [HOURS, -HOURS], ids=["ahead", "behind"])
async def test_its_clock_is_set_while_the_store_is_away_and_no_living_token_is_fetched_and_no_dead_one_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    world = demo_world(settings=Settings(token_lifetime=12))
    async with fleets(tmp_path, monkeypatch, world) as (fleet, redis):
        replica = await fleet.start()
        held = await replica.client.token()
        redis.kill()
        replica.machine.off = off

        assert held.value == (await replica.client.token()).value
        assert 1 == fetches(world)
        await until(lambda: time.time() > held.expire_time.ToNanoseconds() / 1e9)

        async def renewed() -> bool:
            token = await replica.client.token()
            longer = (token.expire_time.ToNanoseconds() - held.expire_time.ToNanoseconds()) / 1e9
            assert longer > 0
            # The broker's clock is right to the second: for that long, WeCom may repeat the value.
            assert token.value != held.value or longer < 4
            return token.value != held.value

        await until(renewed)
        assert (await replica.client.token()).value in living(world)
        assert 2 <= fetches(world) <= 6

        async def told() -> bool:
            return f"this machine's is {HOURS:.0f} s" in (await replica.clock()).problem

        await until(told)


async def test_without_a_fleet_wecoms_answers_tell_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(HOURS)
    monkeypatch.setattr(composition, "SystemClock", lambda: SystemClock(machine.seconds))
    async with running_simulator(demo_world()) as url:
        server = {"grpc": ["127.0.0.1:0"], "http": "127.0.0.1:0", "drain_seconds": 0}
        config = parse_config(configuration(url, f"sqlite:///{tmp_path}/broker.db", server=server))
        async with running_broker(config) as broker, connect(broker.grpc_addresses[0]) as (client,):
            token = await client.token()

            assert token.expire_time.ToNanoseconds() / 1e9 == pytest.approx(time.time() + 7200, abs=60)

            async def told() -> bool:
                status = await client.admin.GetStatus(admin_pb.GetStatusRequest())
                return "wecom" == status.clock.going_by and "this machine's is 1080" in status.clock.problem

            await until(told)
