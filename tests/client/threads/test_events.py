"""Events for threads. The fake broker lives in the test's loop, the client in threads beside it."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from datetime import timedelta

import pytest
import wecom_broker
from wecom_broker import sync
from wecom_broker.errors import BrokerClosed

from tests.client.fake_broker import FakeBroker
from tests.client.fake_events import event_message, number


@pytest.fixture
async def broker(fake: FakeBroker) -> sync.Broker:
    client = sync.Broker(fake.address)
    yield client
    await asyncio.to_thread(client.close)


def handle(broker: sync.Broker, until_number: int) -> list[int]:
    seen = []
    for event in broker.events("g"):
        seen.append(number(event))
        if seen[-1] == until_number:
            break
    return seen


async def test_asking_for_the_next_event_acknowledges_the_one_before_and_break_does_not(
    fake: FakeBroker, broker: sync.Broker
):
    fake.come(1, 2, 3)

    assert [1, 2] == await asyncio.to_thread(handle, broker, 2)
    await fake.until(lambda: fake.open_subscriptions == 0)
    assert [2, 3] == await asyncio.to_thread(handle, broker, 3)
    await fake.until(lambda: fake.open_subscriptions == 0)
    assert [1, 2] == fake.acknowledged("g")


async def test_an_event_left_by_an_exception_comes_again_in_a_new_loop(fake: FakeBroker, broker: sync.Broker):
    fake.come(1)

    def work() -> list[int]:
        counts = []
        with broker.events("g") as events:
            while len(counts) < 2:
                try:
                    for event in events:
                        counts.append(event.delivery_count)
                        raise ZeroDivisionError
                except ZeroDivisionError:
                    pass
        return counts

    assert [1, 2] == await asyncio.to_thread(work)
    assert [] == fake.acknowledged("g")


async def test_a_block_that_is_left_has_acknowledged_what_was_handled(fake: FakeBroker, broker: sync.Broker):
    fake.come(*range(1, 31))

    def work() -> list[int]:
        with broker.events("g") as events:
            return [number(next(events)) for _ in range(30)]

    assert [*range(1, 31)] == await asyncio.to_thread(work)
    assert [*range(1, 30)] == fake.acknowledged("g")
    await fake.until(lambda: fake.open_subscriptions == 0)


async def test_a_closed_stream_is_over(fake: FakeBroker, broker: sync.Broker):
    fake.come(1)
    events = broker.events("g")
    await asyncio.to_thread(next, events)
    await asyncio.to_thread(events.close)

    assert [] == await asyncio.to_thread(list, events)


async def test_a_forgotten_stream_ends(fake: FakeBroker, broker: sync.Broker):
    fake.come(1)
    events = broker.events("g")
    await asyncio.to_thread(next, events)
    del events
    gc.collect()

    await fake.until(lambda: fake.open_subscriptions == 0)


async def test_a_loop_goes_on_over_a_restart(fake: FakeBroker, broker: sync.Broker):
    fake.come(1)
    loop = asyncio.create_task(asyncio.to_thread(handle, broker, 2))
    await fake.until(lambda: fake.acknowledged("g") == [1])
    await fake.stop()
    fake.come(2)
    await fake.start()

    assert [1, 2] == await loop


async def test_closing_the_client_ends_a_loop_and_acknowledges_what_is_handled(fake: FakeBroker):
    client = sync.Broker(fake.address)
    fake.come(1, 2)
    waiting = asyncio.create_task(asyncio.to_thread(handle, client, 3))
    events = client.events("other")
    await asyncio.to_thread(next, events)
    await asyncio.to_thread(next, events)
    await fake.until(lambda: fake.acknowledged("g") == [1, 2])
    await asyncio.to_thread(client.close)

    with pytest.raises(BrokerClosed):
        await waiting
    assert [1] == fake.acknowledged("other")
    with pytest.raises(BrokerClosed):
        next(events)
    events.close()
    assert "wecom_broker" not in {thread.name for thread in threading.enumerate()}


async def test_dead_events_are_listed(fake: FakeBroker, broker: sync.Broker):
    fake.dead = {message.event_id: message for message in map(event_message, range(1, 6))}
    dead = await asyncio.to_thread(lambda: list(broker.dead_events("g", "crm")))

    assert [1, 2, 3, 4, 5] == [number(event) for event in dead]
    assert 5 == await asyncio.to_thread(broker.acknowledge_events, "g", dead)


def test_ctrl_c_ends_a_loop_that_waits_and_what_was_handled_is_acknowledged():
    """The fake broker runs in its own thread here, for signals arrive in the main one."""
    fake, started, done = FakeBroker(), threading.Event(), threading.Event()

    async def serve() -> None:
        async with fake:
            fake.come(1)
            started.set()
            await fake.until(lambda: fake.acknowledged("g") == [1])
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            await fake.until(lambda: fake.open_subscriptions == 0)
            await asyncio.to_thread(done.wait)

    server = threading.Thread(target=asyncio.run, args=[serve()])
    server.start()
    started.wait()
    try:
        with sync.Broker(fake.address, timeout=timedelta(seconds=5)) as broker:
            with pytest.raises(KeyboardInterrupt):
                handle(broker, 2)
            fake_events = broker.events("g2")
            assert 1 == number(next(fake_events))
    finally:
        done.set()
        server.join()


def test_its_stream_begins_and_ends_as_the_async_one():
    def own(kind: type) -> set[str]:
        return {name for name, value in vars(kind).items() if callable(value)} - {"__init__", "_begin"}

    assert {"enter", "exit", "iter", "next", "close"} == {
        name.strip("_").removeprefix("a") for name in own(wecom_broker.EventStream)
    }
    assert {"enter", "exit", "iter", "next", "close"} == {name.strip("_") for name in own(sync.EventStream)}
