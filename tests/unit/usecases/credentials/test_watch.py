"""Watching a credential: the current value first, then the newest, for any number of watchers."""

import asyncio

import pytest

from broker.domain.credentials import CredentialKey
from broker.domain.errors import AppNotShared, BrokerError, CorpNotAuthorized, WecomUnavailable
from broker.simulator.world.tokens import Habit
from tests.kit.memory.engine_world import CHILD, OWN, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom


async def test_a_watch_yields_the_current_credential_and_each_rotation(
    world: EngineWorld, replica: Replica, clock: FakeClock
) -> None:
    watching = replica.engine.watch(OWN)
    seen = [await world.run(anext(watching))]
    for _ in range(3):
        await clock.jump(world.policy.cooldown)
        await world.run(replica.engine.replace(OWN, seen[-1].generation))
        seen.append(await world.run(anext(watching)))
    await watching.aclose()

    assert 4 == len({credential.generation for credential in seen})
    assert seen[-1] == await replica.engine.get(OWN)


async def test_a_slow_watcher_gets_the_newest_only(
    world: EngineWorld, replica: Replica, clock: FakeClock
) -> None:
    watching = replica.engine.watch(OWN)
    current = await world.run(anext(watching))
    for _ in range(5):
        await clock.jump(world.policy.cooldown)
        _, current = await world.run(replica.engine.replace(OWN, current.generation))

    assert current == await world.run(anext(watching))
    nothing_more = asyncio.ensure_future(anext(watching))
    await settle()
    assert not nothing_more.done()
    nothing_more.cancel()


async def test_a_watch_is_not_woken_by_the_same_value(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.habit = Habit.SAME_VALUE_FULL_LIFETIME
    watching = replica.engine.watch(OWN)
    held = await world.run(anext(watching))
    await clock.jump(world.policy.cooldown)
    await world.run(replica.engine.refresh(OWN))
    waiting = asyncio.ensure_future(anext(watching))
    await settle()
    assert not waiting.done()

    wecom.kill(held.value)
    await clock.jump(world.policy.cooldown)
    await world.run(replica.engine.replace(OWN, held.generation))
    assert (await waiting).generation > held.generation
    await watching.aclose()


async def test_a_thousand_watchers_on_three_replicas_see_one_rotation(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replicas = await world.fleet(3)
    watches = [replicas[turn % 3].engine.watch(OWN) for turn in range(1000)]
    firsts = await world.gather(*(anext(watch) for watch in watches))
    assert 1 == len(set(firsts))
    await clock.jump(world.policy.cooldown)

    await world.run(replicas[0].engine.replace(OWN, firsts[0].generation))
    seconds = await world.gather(*(anext(watch) for watch in watches))

    assert 1 == len({credential.generation for credential in seconds})
    assert 2 == wecom.count()
    for watch in watches:
        await watch.aclose()
    assert [0, 0, 0] == [len(replica.memory.hold(OWN).watchers) for replica in replicas]


async def test_a_watch_that_cannot_begin_says_why_and_leaves_nothing(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("busy"))

    assert isinstance(await world.run(outcome(anext(replica.engine.watch(OWN)))), WecomUnavailable)
    assert 0 == sum(len(entry.watchers) for entry in replica.memory)


@pytest.mark.parametrize(("key", "reason"), [(CHILD, AppNotShared), (OWN, CorpNotAuthorized)])
async def test_a_watch_of_what_is_forgotten_ends_with_the_reason(
    world: EngineWorld, replica: Replica, key: CredentialKey, reason: type[BrokerError]
) -> None:
    watching = replica.engine.watch(key)
    await world.run(anext(watching))

    replica.memory.drop(key)

    with pytest.raises(reason):
        await anext(watching)
