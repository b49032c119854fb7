"""A Redis that fails over behind one address: a broker finds the new primary without a restart."""

import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import grpc
import pytest
from wecom_broker.v1 import mini_program_service_pb2 as mini_pb

from tests.contract.redis.test_failover import ask, replicate
from tests.integration.acting.acting import APP, CHILD
from tests.integration.conftest import Figures
from tests.integration.events.subscribing import serving
from tests.integration.events.test_event_outages import until_it_takes
from tests.kit.machine import busy
from tests.kit.processes.fleet import until
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.tcp_relay import relay_to
from tests.kit.time_bounds import check_took

pytestmark = pytest.mark.slow


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer]]:
    with RedisServer(tmp_path / "one") as one, RedisServer(tmp_path / "two") as two:
        yield one, two


async def test_logins_and_callbacks_work_again_within_seconds(
    tmp_path: Path,
    two_servers: tuple[RedisServer, RedisServer],
    figures: Figures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A Redis that waits for a busy machine is not away: what a broker notices here is that it is no primary.
    monkeypatch.setattr("broker.adapters.redis.servers.port.ANSWER_SECONDS", 10.0)
    one, two = two_servers
    await replicate(two, one)
    async with relay_to(one.port) as relay, serving(tmp_path, relay.url) as (running, service, wecom):

        async def logs_in() -> bool:
            code = running.world.people.js_code(CHILD, "lisi")
            request = mini_pb.ExchangeLoginCodeRequest(app=APP, js_code=code)
            try:
                return bool((await running.mini.ExchangeLoginCode(request)).session.session_id)
            except grpc.aio.AioRpcError:
                return False

        async def page(path: str) -> str:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{running.broker.http_port}{path}") as answer,
            ):
                return f"{answer.status} {await answer.text()}"

        async def is_up() -> bool:
            return 'wecom_broker_dependency_up{dependency="store"} 1.0' in await page("/metrics")

        stream = await service.joins()
        assert await logs_in()
        await wecom.says("a1")
        await stream.hears("a1")
        await ask(two, "REPLICAOF", "NO", "ONE")
        await replicate(one, two)
        store = running.broker.telemetry.replica_health.store
        await until(lambda: not store.healthy)
        assert "READONLY" in store.last_error
        assert not await is_up()
        relay.target = two.port
        async with busy() as machine:
            turned = time.monotonic()
            await until(logs_in)
            logins_after = time.monotonic() - turned - machine.seconds
            await until_it_takes(wecom, "a2")
            callbacks_after = time.monotonic() - turned - machine.seconds
        await until(is_up)
        await until(lambda: "a2" in stream.words.split())
        assert (await page("/readyz")).startswith("200")
        figures(logins_after_s=logins_after, callbacks_after_s=callbacks_after)
        check_took(callbacks_after, 8)
