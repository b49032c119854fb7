"""What subscribers notice when replicas die or drain, when Redis is away, and when they are many."""

import asyncio
import resource
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc

from broker.usecases.events.subscription import ALIVE_FOR
from tests.integration.acting.acting import Acting
from tests.integration.conftest import Figures, StartFleet
from tests.integration.events.subscribing import CALLBACK, Service, Wecom, calling_back, connected, serving
from tests.kit.machine import busy
from tests.kit.processes.fleet import PATIENCE, Fleet, refused, until
from tests.kit.processes.redis_server import RedisServer
from tests.kit.time_bounds import check_took

LONG = Duration(seconds=3600)

pytestmark = pytest.mark.slow


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    # What it has answered is in its file: a test may kill it at any time.
    with RedisServer(tmp_path / "redis", "--appendfsync", "always", append_only=True) as server:
        yield server


@pytest.fixture
def patient_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that waits for a busy process is not away; how long it may take has tests of its own."""
    monkeypatch.setattr("broker.adapters.redis.servers.port.ANSWER_SECONDS", 10.0)


@pytest.fixture
async def running(tmp_path: Path, redis: RedisServer) -> AsyncIterator[tuple[Acting, Service, Wecom]]:
    async with serving(tmp_path, redis.url) as running:
        yield running


@asynccontextmanager
async def callers_of(fleet: Fleet) -> AsyncIterator[tuple[list[Service], list[Wecom]]]:
    """Connect to every replica, and be WeCom to it."""
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(connected(broker.address)) for broker in fleet.brokers]
        wecoms = [await stack.enter_async_context(calling_back(broker.http_port)) for broker in fleet.brokers]
        yield services, wecoms


# --- replicas


async def test_events_go_on_at_another_replica_when_one_is_killed(
    start_fleet: StartFleet, figures: Figures
) -> None:
    fleet = start_fleet(2, patient=True, app={"callback": CALLBACK, "share_kinds": ["corp_group"]})
    async with callers_of(fleet) as ((one, two), (first_wecom, second_wecom)):
        victim = await one.joins(ack_timeout=LONG)
        await first_wecom.says("a1 b1 a2")
        await victim.hears("a1 b1 a2")
        assert 1 == await two.acknowledges(victim.ids[:1])
        stayer = await two.joins(ack_timeout=LONG)
        fleet.brokers[0].kill()
        await second_wecom.says("c1")
        await stayer.hears("c1")

        took = await stayer.hears("c1 b1 a2")
        assert [1, 2, 2] == stayer.counts
    figures(handed_over_after_s=took)
    check_took(took, ALIVE_FOR.total_seconds() + 2)


async def test_a_replica_that_drains_hands_its_subscribers_over_at_once(
    start_fleet: StartFleet, figures: Figures
) -> None:
    fleet = start_fleet(
        2,
        patient=True,
        app={"callback": CALLBACK, "share_kinds": ["corp_group"]},
        server={"drain_seconds": 60},
    )
    async with callers_of(fleet) as ((one, two), (first_wecom, _)):
        readers = [await one.joins(f"group-{number}", ack_timeout=LONG) for number in range(20)]
        await first_wecom.says("a1 b1")
        await asyncio.gather(*(reader.hears("a1 b1") for reader in readers))
        fleet.brokers[0].send(signal.SIGTERM)
        ended = await until(lambda: all(reader.ended for reader in readers))
        assert {None} == {reader.error for reader in readers}
        others = [await two.joins(f"group-{number}") for number in range(20)]
        heard = await asyncio.gather(*(other.hears("a1 b1") for other in others))

        assert {(2, 2)} == {tuple(other.counts) for other in others}
    figures(streams_ended_after_s=ended, heard_after_s=max(heard))
    # Neither the end of the drain nor of the first replica's membership was waited for.
    assert ended < 5
    assert max(heard) < 3


# --- the store


async def test_streams_outlive_a_restart_of_redis(
    patient_client: None, running: tuple[Acting, Service, Wecom], redis: RedisServer, figures: Figures
) -> None:
    _, service, wecom = running
    streams = [await service.joins(f"group-{number}", ack_timeout=LONG) for number in range(5)]
    looker = await service.joins("")
    await wecom.says("a1")
    await asyncio.gather(*(stream.hears("a1") for stream in streams))
    redis.kill()
    await asyncio.sleep(4)
    redis.start()
    await until_it_takes(wecom, "a2")
    took = await until(lambda: all("a2" in stream.words.split() for stream in [*streams, looker]))
    figures(flows_again_after_s=took)
    check_took(took, 3)

    for stream in streams:
        assert not stream.ended
        assert {"a1", "a2"} == set(stream.words.split())
        assert 2 == await service.acknowledges(list(set(stream.ids)), f"group-{streams.index(stream)}")


async def until_it_takes(wecom: Wecom, word: str) -> None:
    """Send as often as it takes, as WeCom does."""

    async def is_taken() -> bool:
        try:
            await wecom.says(word)
        except AssertionError:
            return False
        return True

    await until(is_taken, pause=0.1)


async def test_nothing_is_lost_while_redis_comes_and_goes(
    running: tuple[Acting, Service, Wecom], redis: RedisServer, figures: Figures
) -> None:
    acting, service, wecom = running
    done: list[str] = []
    unexpected: list[grpc.aio.AioRpcError] = []

    async def work(stream_of: Service) -> None:
        stream = await stream_of.joins(ack_timeout=Duration(seconds=5), max_in_flight=5)
        handled = 0
        while True:
            await until(lambda: len(stream.got) > handled, 10 * PATIENCE)  # noqa: B023 - at once
            found = stream.got[handled].event
            try:
                await stream_of.acknowledges([found.event_id])
            except grpc.aio.AioRpcError as error:
                unexpected.extend([error] if error.code() != grpc.StatusCode.UNAVAILABLE else [])
                await asyncio.sleep(0.05)
                continue
            done.append(found.fields["Content"])
            handled += 1

    async with acting.another() as other, connected(other.broker.grpc_addresses[0]) as second:
        workers = [asyncio.create_task(work(one)) for one in (service, service, second)]
        words = [f"{corp}{number}" for number in range(60) for corp in "abc"]
        for number, word in enumerate(words):
            if number in {60, 120}:
                redis.pause()
                await asyncio.sleep(1.5)
                redis.resume()
            await until_it_takes(wecom, word)
        took = await until(lambda: set(words) <= set(done))
        assert [] == unexpected
        for worker in workers:
            assert not worker.done()
            worker.cancel()
    figures(events=len(words), handled_twice=len(done) - len(set(done)), caught_up_after_s=took)


async def test_without_a_store_nobody_subscribes_or_acknowledges(
    patient_client: None, running: tuple[Acting, Service, Wecom], redis: RedisServer
) -> None:
    acting, service, _ = running
    health = health_pb2_grpc.HealthStub(acting.channel)  # type: ignore[no-untyped-call]

    async def status(name: str) -> int:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=f"wecom_broker.v1.{name}"))
        return int(answer.status)

    up, down = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert (up, up) == (await status("EventService"), await status("CallbackService"))
    redis.kill()
    for call in (
        service.opens(reads=False).call.read(),
        service.opens("", reads=False).call.read(),
        service.acknowledges(["crm:1-1"]),
        service.retries(["crm:1-1"]),
        service.dead(),
    ):
        found = await refused(call)
        assert (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE") == (found.code, found.reason)
        assert found.retry_seconds
        assert found.retry_seconds > 0

    async def is_down() -> bool:
        return await status("EventService") == down

    await until(is_down)
    assert up == await status("CallbackService")
    redis.start()

    async def is_up() -> bool:
        return await status("EventService") == up

    await until(is_up)


# --- many


async def test_a_thousand_subscribers_are_bearable(
    patient_client: None, running: tuple[Acting, Service, Wecom], redis: RedisServer, figures: Figures
) -> None:
    acting, _, wecom = running
    [address] = acting.broker.grpc_addresses
    memory, tasks = resident_megabytes(), len(asyncio.all_tasks())
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(connected(address)) for _ in range(10)]
        began = time.monotonic()
        streams = await asyncio.gather(
            *(services[number % 10].joins(f"group-{number % 10}", ack_timeout=LONG) for number in range(1000))
        )
        opened = time.monotonic() - began
        used = resident_megabytes() - memory
        idle = await cpu_share(3)
        waits, costs = [], []
        for number in range(5):
            used_before, began = cpu_seconds(), time.monotonic()
            async with busy() as machine:
                await wecom.says(f"a{number}")
                await until(lambda: sum(len(stream.got) for stream in streams) == 10 * (number + 1))  # noqa: B023 - at once
            waits.append(time.monotonic() - began - machine.seconds)
            await asyncio.sleep(1.5)
            costs.append(cpu_seconds() - used_before)
            for group in range(10):
                holder = next(one for one in streams[group::10] if one.got)
                await services[0].acknowledges(holder.ids, f"group-{group}")
        assert 50 == sum(len(stream.got) for stream in streams)
        assert [] == [stream.error for stream in streams if stream.ended]
        began = time.monotonic()
    await until(lambda: len(asyncio.all_tasks()) <= tasks + 5)
    figures(
        opened_in_s=opened,
        megabytes=used,
        idle_cpu_share=idle,
        slowest_event_s=max(waits),
        cpu_per_event_s=sum(costs) / len(costs),
        left_in_s=time.monotonic() - began,
    )
    check_took(max(waits), 5)
    # What the broker's own work keeps its loop from is not among the waits.
    assert max(costs) < 5


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def cpu_seconds() -> float:
    return time.process_time()


async def cpu_share(seconds: float) -> float:
    began = cpu_seconds()
    await asyncio.sleep(seconds)
    return (cpu_seconds() - began) / seconds
