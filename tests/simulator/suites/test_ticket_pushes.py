"""How suite_tickets are pushed: by hand, by an interval, lost, and late."""

import asyncio

import pytest

from broker.simulator import World, running_simulator
from broker.simulator import provider_demo as demo
from broker.simulator.provider_demo import provider_world
from tests.simulator.callbacks.receiver import running_receiver
from tests.simulator.suites.acme import Acme
from tests.simulator.suites.told import Told, configure


async def tickets(told: Told) -> list[str]:
    return [got.text("SuiteTicket") for got in await told.all()]


async def test_the_refresh_button_pushes_a_new_ticket(acme: Acme, told: Told) -> None:
    ticket = acme.world.console.tickets.push("market")
    got = await told.one()

    assert (
        f"<xml><SuiteId><![CDATA[{demo.MARKET}]]></SuiteId><InfoType> <![CDATA[suite_ticket]]></InfoType>"
        f"<TimeStamp>1800000000</TimeStamp><SuiteTicket><![CDATA[{ticket}]]></SuiteTicket></xml>"
    ) == got.message.decode()
    assert ("/callback/market", demo.MARKET, "") == (got.path, got.receive_id, got.agent_id)
    assert ticket != acme.world.console.tickets.push(demo.MARKET)


async def test_lost_tickets_do_not_arrive(told: Told) -> None:
    pushes = told.world.console.tickets
    pushes.lose("market", 2)
    made = [pushes.push("market") for _ in range(3)]

    assert made[2:] == await tickets(told)


async def test_held_tickets_follow_the_next_one(told: Told) -> None:
    pushes = told.world.console.tickets
    pushes.hold("market", 2)
    first, second = pushes.push("market"), pushes.push("market")
    assert [] == await tickets(told)

    third = pushes.push("market")
    assert {first, second, third} == set(await tickets(told))
    assert [third, first, second] == [
        delivery.event.code for delivery in told.world.callbacks.outbox.deliveries
    ]


async def test_held_tickets_can_be_sent_now(told: Told) -> None:
    pushes = told.world.console.tickets
    pushes.hold("market")
    held = pushes.push("market")

    assert 1 == pushes.release("market")
    assert [held] == await tickets(told)
    assert 0 == pushes.release("market")


async def test_tickets_are_pushed_again_and_again_until_they_are_stopped() -> None:
    slept: list[float] = []
    ticks = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await ticks.acquire()

    world = provider_world(1, sleep=sleep)
    async with running_receiver() as receiver, running_simulator(world):
        configure(world, receiver.url.removesuffix("/crm"))
        world.console.tickets.every(600, "market")
        for count in range(1, 4):
            while len(slept) < count:
                await asyncio.sleep(0)
            ticks.release()
        world.console.tickets.every(None)
        while len(slept) < 4:
            await asyncio.sleep(0)
        await world.callbacks.outbox.settled()
        got = [each.text("SuiteId") for each in receiver.got]

    assert [600] * 4 == slept
    assert [demo.MARKET] * 4 == got


async def test_an_interval_may_be_set_before_the_simulator_runs_and_for_all_suites() -> None:
    world = provider_world(1)
    world.console.tickets.every(3600)
    async with running_receiver() as receiver:
        configure(world, receiver.url.removesuffix("/crm"))
        async with running_simulator(world):
            while len(receiver.got) < 2:
                await asyncio.sleep(0.001)

    assert {demo.MARKET, demo.TAILORED} == {each.text("SuiteId") for each in receiver.got}


def test_an_unknown_suite_is_a_mistake(world: World) -> None:
    with pytest.raises(LookupError, match="no suite"):
        world.console.tickets.every(1, "nothing")
