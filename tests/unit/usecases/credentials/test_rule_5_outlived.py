"""Engine rule 5 at a value's end: WeCom's own end may be later than the broker's, by a moment or by much."""

import asyncio
from datetime import datetime, timedelta

import pytest

from broker.domain.credentials import Credential
from broker.simulator.world.tokens import Habit
from tests.kit.memory.engine_world import CHILD, LIFETIME, OWN, EngineWorld, Replica
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.wecom import SimulatedWecom

SECOND = timedelta(seconds=1)
TICK = SECOND / 20
ANSWER = SECOND / 25
HABITS = [Habit.SAME_VALUE_FULL_LIFETIME, Habit.SAME_VALUE_REMAINING]


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.fixture(params=HABITS, ids=lambda habit: habit.value)
def repeating(request: pytest.FixtureRequest, wecom: SimulatedWecom) -> SimulatedWecom:
    """WeCom gives the same value while it lives, and knows when it is asked whether it does."""
    wecom.habit, wecom.delay, wecom.answers_as_asked = request.param, ANSWER, True
    return wecom


async def at_its_end(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, late: timedelta
) -> Credential:
    """Return a token that ends now by the broker's clock, and so much later by WeCom's."""
    held = await world.run(replica.engine.get(OWN))
    wecom.prolong(held.value, late)
    await world.clock.jump(held.expires_at - world.clock.now())
    return held


@pytest.mark.parametrize("late", [TICK / 50, SECOND / 10, SECOND / 5])
async def test_a_value_that_dies_a_moment_later_is_asked_for_again_and_not_served(
    world: EngineWorld, replica: Replica, repeating: SimulatedWecom, late: timedelta
) -> None:
    held = await at_its_end(world, replica, repeating, late)

    found = await world.run(replica.engine.get(OWN))

    assert found.value != held.value
    assert repeating.is_alive(found.value)
    assert 3 == repeating.count()
    assert (OWN.name, "failed") not in replica.witness.refreshes


@pytest.mark.parametrize("late", [seconds(0.3), seconds(1), seconds(5), seconds(60)], ids=str)
async def test_a_value_is_believed_for_no_longer_than_it_has_outlived_its_end(
    world: EngineWorld, repeating: SimulatedWecom, clock: FakeClock, late: timedelta
) -> None:
    """WeCom's clock may differ from the broker's, or WeCom was slow when it first gave the value."""
    replicas = await world.fleet(2)
    for replica in replicas:
        replica.refresh_ahead()
    held = await at_its_end(world, replicas[0], repeating, late)
    ends = held.expires_at
    last_served: list[datetime] = []

    async def ask(replica: Replica) -> None:
        found = await replica.engine.get(OWN)
        if found.value == held.value:
            last_served.append(clock.now())

    tasks = []
    while clock.now() < ends + 2 * late + SECOND:
        tasks += [asyncio.create_task(ask(replica)) for replica in replicas]
        await clock.advance(TICK)
    await clock.advance(SECOND)
    await asyncio.gather(*tasks)

    assert max(last_served, default=ends) <= ends + 2 * late + ANSWER
    for replica in replicas:
        assert repeating.is_alive((await replica.engine.get(OWN)).value)
        assert (OWN.name, "failed") not in replica.witness.refreshes
    assert repeating.count() <= 30


async def test_a_value_that_wecom_prolongs_is_believed_for_ever_longer_and_asked_for_ever_less(
    world: EngineWorld, replica: Replica, repeating: SimulatedWecom, clock: FakeClock
) -> None:
    repeating.habit = Habit.SAME_VALUE_FULL_LIFETIME
    held = await at_its_end(world, replica, repeating, 2 * LIFETIME)
    tasks = []

    for _ in range(LIFETIME // SECOND):
        tasks.append(asyncio.create_task(replica.engine.get(OWN)))
        await clock.advance(SECOND)

    assert {held.value} == {found.value for found in await asyncio.gather(*tasks)}
    assert repeating.count() <= 60
    assert (OWN.name, "failed") not in replica.witness.refreshes


async def test_a_value_that_has_outlived_a_whole_life_gets_another_one(
    world: EngineWorld, replica: Replica, repeating: SimulatedWecom, clock: FakeClock
) -> None:
    repeating.habit = Habit.SAME_VALUE_FULL_LIFETIME
    held = await at_its_end(world, replica, repeating, 3 * LIFETIME)
    await clock.jump(LIFETIME)

    again = await world.run(replica.engine.get(OWN))

    assert held.value == again.value
    assert LIFETIME == again.expires_at - again.renewed_at


@pytest.mark.parametrize("late", [seconds(number / 100) for number in range(20, 32)], ids=str)
async def test_a_child_is_not_refused_though_its_parent_ends_while_it_is_asked_for(
    world: EngineWorld, replica: Replica, repeating: SimulatedWecom, late: timedelta
) -> None:
    await at_its_end(world, replica, repeating, late)

    found = await world.run(replica.engine.get(CHILD))

    assert repeating.is_alive(found.value)
    assert (CHILD.name, "failed") not in replica.witness.refreshes


async def test_another_replica_knows_for_how_long_the_value_has_outlived_its_end(
    world: EngineWorld, replica: Replica, repeating: SimulatedWecom, clock: FakeClock
) -> None:
    held = await at_its_end(world, replica, repeating, 60 * SECOND)
    await clock.jump(4 * SECOND)
    once = await world.run(replica.engine.get(OWN))
    other = await world.start()
    await clock.jump(once.expires_at - clock.now())

    again = await world.run(other.engine.get(OWN))

    assert held.value == once.value == again.value
    assert again.expires_at - again.renewed_at == again.renewed_at - held.expires_at
