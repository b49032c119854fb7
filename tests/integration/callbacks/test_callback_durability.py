"""What is answered `success` is written: whatever becomes of the store and of the broker."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path

import grpc.aio
import pytest

from broker.simulator import running_simulator
from broker.simulator.demo import PARENT, demo_world
from broker.usecases.callbacks.self_built import STORE_PATIENCE
from tests.integration.acting.acting import APP
from tests.integration.conftest import Figures
from tests.kit.callbacks.endpoint import CALLBACK, looking_on, text
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.machine import busy
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import configuration, until
from tests.kit.processes.redis_server import RedisServer
from tests.kit.time_bounds import check_took

ANSWERED_WITHIN = 5.0
"""WeCom drops the connection then (wecom-api C1)."""
ACCEPTED = (200, "success")
LAST = "the last one"

pytestmark = pytest.mark.slow


@dataclass
class Door:
    """A broker in a process of its own, and WeCom's side of it."""

    broker: BrokerProcess
    sender: CallbackSender

    async def post(self, content: str) -> tuple[int, str]:
        status, body, seconds = await self.sender.post(message(content))
        check_took(seconds, ANSWERED_WITHIN)
        return status, body

    async def log(self) -> list[str]:
        """Return the contents of what is in the log."""
        last = f"{LAST} {time.monotonic()}"

        async def taken() -> bool:
            return await self.post(last) == ACCEPTED

        await until(taken, pause=0.1)
        found: list[str] = []
        async with grpc.aio.insecure_channel(self.broker.address) as channel:
            async for event in looking_on(channel):
                if event.fields["Content"] == last:
                    return [content for content in found if not content.startswith(LAST)]
                found.append(event.fields["Content"])
        raise AssertionError("the stream ended")


def message(content: str) -> bytes:
    """Write a message that is the same each time: WeCom's repeat."""
    return text(PARENT.corpid, Content=content, MsgId=content, CreateTime=1)


@asynccontextmanager
async def serving(folder: Path, store_url: str) -> AsyncIterator[Door]:
    world = demo_world()
    async with running_simulator(world) as url:
        config = configuration(url, store_url, app={"callback": CALLBACK})
        with ExitStack() as stack:
            broker = BrokerProcess(folder / "broker", config, forked=True)
            stack.push(broker.__exit__)
            broker.launch()
            await asyncio.to_thread(broker.await_ready)
            async with CallbackSender.open(f"http://127.0.0.1:{broker.http_port}/callback/{APP}") as sender:
                yield Door(broker, sender)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", append_only=True) as redis:
        yield redis


async def test_a_store_that_is_away_is_told_in_time_and_nothing_is_acknowledged(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with serving(tmp_path, redis.url) as door:
        assert ACCEPTED == await door.post("before")
        redis.kill()
        answers = await asyncio.gather(*(door.post(f"away-{number}") for number in range(50)))
        assert {(503, "refused\n")} == set(answers)
        assert 'callbacks_total{app="crm",outcome="store_unavailable"} 50.0' in door.broker.metrics()
        # Now it is known to be down.
        waited = [(await door.sender.post(message("away")))[2] for _ in range(5)]
        check_took(min(waited), STORE_PATIENCE.total_seconds() / 3)

        redis.start()
        assert ["before"] == await door.log()
        # WeCom sends it again.
        assert ACCEPTED == await door.post("away-0")


async def test_a_store_that_restarts_within_a_second_costs_no_event(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with serving(tmp_path, redis.url) as door:
        assert ACCEPTED == await door.post("before")
        sent = ["before"]
        taken = ["before"]
        away = inf
        # On a busy machine a restart may take longer: then another one shows it.
        while away > 1:
            contents = [f"{len(sent)}-{number}" for number in range(50)]
            began = time.monotonic()
            redis.kill()
            posts = [asyncio.create_task(door.post(content)) for content in contents]
            await asyncio.sleep(0.7)
            await asyncio.to_thread(redis.start)
            away = time.monotonic() - began
            answers = await asyncio.gather(*posts)
            sent += contents
            taken += [
                content for content, answer in zip(contents, answers, strict=True) if answer == ACCEPTED
            ]

        assert {ACCEPTED} == set(answers)
        found = await door.log()
        assert len(set(found)) == len(found)
        assert set(taken) <= set(found) <= set(sent)


@pytest.mark.parametrize("seconds", [0.7, None])
async def test_a_store_that_hangs_is_no_different(
    tmp_path: Path, redis: RedisServer, seconds: float | None
) -> None:
    async with serving(tmp_path, redis.url) as door:
        assert ACCEPTED == await door.post("before")
        redis.pause()
        posts = [asyncio.create_task(door.post(f"hung-{number}")) for number in range(20)]
        if seconds:
            await asyncio.sleep(seconds)
            redis.resume()
        answers = await asyncio.gather(*posts)
        redis.resume()

        assert {ACCEPTED if seconds else (503, "refused\n")} == set(answers)
        found = await door.log()
        # What a hung store was sent it may write when it goes on; nobody was told that it did not.
        assert len(set(found)) == len(found)
        assert not seconds or {"before", *(f"hung-{number}" for number in range(20))} == set(found)
        for number in range(20):
            assert ACCEPTED == await door.post(f"hung-{number}")
        assert 21 == len(await door.log())


async def test_no_acknowledged_event_is_lost_in_a_store_that_is_killed_again_and_again(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with serving(tmp_path, redis.url) as door:
        acknowledged: list[str] = []
        ends_at = time.monotonic() + 8

        async def send(lane: int) -> None:
            number = 0
            while time.monotonic() < ends_at:
                number += 1
                content = f"{lane}-{number}"
                if await door.post(content) == ACCEPTED:
                    acknowledged.append(content)

        lanes = [asyncio.create_task(send(lane)) for lane in range(8)]
        for _ in range(3):
            await asyncio.sleep(1.5)
            redis.kill()
            await asyncio.to_thread(redis.start)
        await asyncio.gather(*lanes)
        found = await door.log()

        assert len(acknowledged) > 50
        assert set(acknowledged) <= set(found)
        assert len(found) == len(set(found))


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_what_was_answered_is_there_after_the_broker_was_killed_at_once(
    tmp_path: Path, redis: RedisServer, store: str
) -> None:
    url = redis.url if store == "redis" else f"sqlite:///{tmp_path}/broker.db"
    async with serving(tmp_path, url) as door:
        acknowledged = []
        for round_ in range(3):
            posts = [asyncio.create_task(_quietly(door, f"{round_}-{number}")) for number in range(40)]
            done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
            door.broker.kill()
            await asyncio.gather(*posts)
            assert done
            acknowledged += [content for task in posts if (content := task.result())]
            await asyncio.to_thread(door.broker.start)
        found = await door.log()

        assert len(acknowledged) >= 3
        assert set(acknowledged) <= set(found)
        assert len(found) == len(set(found))


async def _quietly(door: Door, content: str) -> str:
    """Return the content if it was acknowledged; a broker that dies answers nothing."""
    try:
        return content if await door.post(content) == ACCEPTED else ""
    except AssertionError:
        return ""


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_answers_come_quickly(tmp_path: Path, redis: RedisServer, figures: Figures, store: str) -> None:
    url = redis.url if store == "redis" else f"sqlite:///{tmp_path}/broker.db"
    async with serving(tmp_path, url) as door:
        for number in range(20):
            assert ACCEPTED == await door.post(f"warm-{number}")
        slots = asyncio.Semaphore(20)

        async def answered(number: int) -> float:
            async with slots:
                status, body, seconds = await door.sender.post(message(f"timed-{number}"))
                assert ACCEPTED == (status, body)
                return seconds

        began = time.monotonic()
        async with busy() as machine:
            times = sorted(await asyncio.gather(*(answered(number) for number in range(500))))
        took = time.monotonic() - began
        figures(
            p50_ms=times[250] * 1000,
            p99_ms=times[495] * 1000,
            worst_ms=times[-1] * 1000,
            per_second=500 / took,
        )

        check_took(times[495] - machine.seconds, 1)
