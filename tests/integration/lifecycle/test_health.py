"""Health by gRPC and HTTP: what a load balancer is told, and when; reflection only where it is wanted."""

import time
from datetime import timedelta
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from wecom_broker.v1 import admin_service_pb2 as admin_pb

import broker
from broker.simulator import Reset, Settings, demo_world
from broker.simulator.demo import add_children
from broker.usecases import readiness
from tests.kit.broker_here import broker_here
from tests.kit.processes.fleet import Replica, child, connect, refused, until
from tests.kit.processes.redis_server import RedisServer

TOKENS, SHARES, SESSIONS, ADMIN = (
    f"wecom_broker.v1.{name}Service" for name in ("Token", "AppShare", "MiniProgram", "Admin")
)


async def ready(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as answer:
        return answer.status


async def test_each_service_and_the_whole_are_serving(tmp_path: Path) -> None:
    async with broker_here(tmp_path, demo_world()) as here, connect(here.address) as (replica,):
        assert [True] * 4 == [await replica.serving(service) for service in ("", TOKENS, SHARES, ADMIN)]
        assert 200 == await ready(here.http)
        unknown = await refused(
            replica.health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
        )
        assert grpc.StatusCode.NOT_FOUND == unknown.code


async def test_anybody_is_told_the_version_and_nothing_else(tmp_path: Path) -> None:
    async with (
        broker_here(tmp_path, demo_world()) as here,
        aiohttp.ClientSession() as session,
        session.get(f"{here.http}/version") as answer,
    ):
        assert 200 == answer.status
        assert {"version": broker.__version__} == await answer.json()


async def test_wecom_down_is_no_reason_while_valid_tokens_remain_and_is_one_when_none_is_left(
    tmp_path: Path,
) -> None:
    world = demo_world(settings=Settings(token_lifetime=6))
    add_children(world, 1)
    async with broker_here(tmp_path, world) as here, connect(here.address) as (replica,):
        token = await replica.token(child(1))
        world.faults.add("*", Reset())
        end = token.expire_time.ToNanoseconds() / 1e9

        # It is told of the outage only when somebody asks in vain.
        await until(lambda: not here.broker.telemetry.replica_health.wecom.healthy, pause=0.05)
        assert time.time() < end
        await here.broker.health.look()
        assert await replica.serving()
        assert await replica.serving(TOKENS)
        assert 200 == await ready(here.http)

        await until(lambda: time.time() > end)
        assert "WECOM_UNAVAILABLE" == (await refused(replica.token(child(1)))).reason
        await here.broker.health.look()
        assert not await replica.serving()
        assert not await replica.serving(TOKENS)
        assert await replica.serving(SHARES), "the list is in memory"
        assert await replica.serving(ADMIN)
        assert 503 == await ready(here.http)

        world.faults.clear()

        async def served_again() -> bool:
            return await _answers(replica) and await replica.serving()

        await until(served_again, pause=0.1)


async def test_a_store_that_stays_away_makes_a_replica_not_ready_where_nothing_valid_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "STORE_PATIENCE", timedelta(seconds=2))
    world = demo_world(settings=Settings(token_lifetime=8))
    with RedisServer(tmp_path / "redis") as redis:
        store = {"url": redis.url}
        async with (
            broker_here(tmp_path, world, store=store) as here,
            connect(here.address) as (replica,),
        ):
            token = await replica.token()
            redis.kill()
            await until(lambda: not here.broker.telemetry.replica_health.store.healthy)
            await until(lambda: time.time() > token.expire_time.ToNanoseconds() / 1e9 - 1)
            assert 200 == await ready(here.http), "a token is valid"
            assert not await replica.serving(SESSIONS)

            async def is_out() -> bool:
                return not await replica.serving()

            await until(is_out)
            async with aiohttp.ClientSession() as session, session.get(f"{here.http}/readyz") as answer:
                assert 503 == answer.status
                why = (await answer.text()).strip()
            assert why.startswith("not ready: Redis is not available: ")
            assert why.endswith(", and no credential here is valid")
            status = await replica.admin.GetStatus(admin_pb.GetStatusRequest())
            assert not status.serving
            assert status.obstacle.endswith(", and no credential here is valid")
            assert not await replica.serving(TOKENS)

            # It is advice to balancers: who asks is answered, and what that fetched is valid (decision 0014).
            assert token.value != (await replica.token()).value
            await until(replica.serving)
            assert 200 == await ready(here.http)
            assert not here.broker.telemetry.replica_health.store.healthy

            redis.start()
            await until(replica.serving)
            assert 200 == await ready(here.http)


async def _answers(replica: Replica) -> bool:
    try:
        await replica.token(child(1))
    except grpc.aio.AioRpcError:
        return False
    return True


@pytest.mark.parametrize("switch", [True, False], ids=["on", "off"])
async def test_reflection_is_there_only_with_the_switch(tmp_path: Path, *, switch: bool) -> None:
    async with (
        broker_here(tmp_path, demo_world(), server={"reflection": switch}) as here,
        connect(here.address) as (replica,),
    ):
        stub = reflection_pb2_grpc.ServerReflectionStub(replica.channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        if switch:
            answer = await call.read()
            names = {service.name for service in answer.list_services_response.service}
            assert {TOKENS, SHARES, ADMIN, "grpc.health.v1.Health"} <= names
            call.cancel()
        else:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            assert grpc.StatusCode.UNIMPLEMENTED == caught.value.code()
