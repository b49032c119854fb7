"""Watches: a thousand of them, one that never reads, and one over a restart of its broker."""

import asyncio
import time
from contextlib import AsyncExitStack

import grpc.aio
import pytest
from wecom_broker import Broker
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import token_service_pb2 as pb

from tests.integration.conftest import Figures
from tests.kit.machine import busy
from tests.kit.processes.fleet import Fleet, Replica, child, connect, target, until
from tests.kit.time_bounds import check_took

WATCHERS = 1000

pytestmark = pytest.mark.slow

Watch = grpc.aio.UnaryStreamCall[pb.WatchAccessTokenRequest, pb.WatchAccessTokenResponse]


def watch(replica: Replica, corp_id: str) -> Watch:
    return replica.tokens.WatchAccessToken(pb.WatchAccessTokenRequest(target=target(corp_id, replica.app)))


async def generation(call: Watch) -> int:
    answer = await call.read()
    assert isinstance(answer, pb.WatchAccessTokenResponse)
    return answer.token.generation


async def test_1000_watchers_get_each_rotation_though_one_never_reads(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    address = fleet.brokers[0].address
    # Nothing fits into the window of this one: the broker can send on only when it reads.
    tight = [
        ("grpc.http2.lookahead_bytes", 5),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    async with AsyncExitStack() as stack:
        doors = await stack.enter_async_context(connect(*[address] * 10, app=app))
        _, other, _ = await stack.enter_async_context(fleet.replicas(app))
        sleeper = Replica(
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options=tight)), app
        )
        first = (await doors[0].token(child(1))).generation
        asleep = watch(sleeper, child(1))
        await asleep.wait_for_connection()
        calls = [watch(doors[turn % len(doors)], child(1)) for turn in range(WATCHERS)]
        assert {first} == set(await asyncio.gather(*map(generation, calls)))
        assert WATCHERS + 1 == await watchers(fleet)

        took = []
        for _ in range(3):
            newest = (await other.refresh(child(1))).credential.generation
            began = time.monotonic()
            async with busy() as machine:
                assert {newest} == set(await asyncio.gather(*map(generation, calls)))
            took.append(time.monotonic() - began - machine.seconds)

        seen = [await generation(asleep)]
        while seen[-1] != newest:
            seen.append(await generation(asleep))
        assert sorted(set(seen)) == seen, "never back"
        for call in [*calls, asleep]:
            call.cancel()
    await until(lambda: "wecom_broker_watchers 0.0" in fleet.brokers[0].metrics(), pause=0.2)
    check_took(max(took), 5)
    figures(watchers=WATCHERS, seconds_until_the_last_has_it=max(took), seen_by_the_sleeper=len(seen), of=4)


async def watchers(fleet: Fleet) -> int:
    async with fleet.replicas() as (replica, *_):
        return (await replica.admin.GetStatus(admin_pb.GetStatusRequest())).watcher_count


async def test_the_client_opens_its_watch_again_after_the_broker_restarts(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    broker = fleet.brokers[0]
    async with Broker(broker.address) as client, fleet.replicas(app) as (_, other, _):
        before = await client.access_token(app, corp=child(1))
        broker.kill()
        assert before == await client.access_token(app, corp=child(1)), "from memory, with no broker"
        newest = (await other.refresh(child(1))).credential.generation
        broker.start()

        async def has_it() -> bool:
            return newest == (await client.access_token(app, corp=child(1))).generation

        took = await until(has_it)
    # The longest pause between two attempts to reach a broker that was away is 5 s.
    check_took(took, 12)
    figures(seconds_after_the_broker_is_ready=took)
