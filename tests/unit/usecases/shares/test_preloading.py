"""A replica that starts has what the fleet has fetched, before anybody asks for it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from broker.domain.credentials import CORP_KINDS, CredentialKey, CredentialKind
from broker.usecases.shares.preloading import BATCH
from tests.kit.memory.engine_world import CHILD_SHARE, CRM, LIFETIME, OWN, EngineWorld, Replica
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import SimulatedWecom

SECOND = timedelta(seconds=1)
CHILDREN = 2 * BATCH


async def filled(world: EngineWorld, replica: Replica, wecom: SimulatedWecom) -> list[CredentialKey]:
    """Have the first replica fetch tokens of many children, and some tickets; return their keys."""
    wecom.shares = [replace(CHILD_SHARE, corp_id=f"ww-child-{n}", agent_id=n) for n in range(1, CHILDREN + 1)]
    tokens = [CredentialKey.child_token(CRM, share) for share in wecom.shares]
    await world.run(replica.shares.all(CRM))
    keys = [
        *tokens,
        *(OWN.of_kind(kind) for kind in CORP_KINDS),
        tokens[0].of_kind(CredentialKind.CORP_TICKET),
    ]
    await world.gather(*(replica.engine.get(key) for key in keys))
    return keys


async def test_all_that_the_store_holds_is_in_memory_and_wecom_was_not_asked(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    keys = await filled(world, replica, wecom)
    asked = wecom.count()
    second = await world.start()
    await world.run(second.core.preloaded())

    assert {key.name for key in keys} == {entry.key.name for entry in second.memory}
    assert all(second.memory.get(key) == replica.memory.get(key) for key in keys)
    second.store.cut()
    for key in keys:
        assert await second.engine.get(key)
    assert asked == wecom.count()


async def test_share_lists_are_there_before_a_call_can_come(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    await filled(world, replica, wecom)
    asked = wecom.count()
    second = await world.start()
    preloading = await world.run(second.core.preload(SECOND))

    assert [wecom.shares[0]] == second.shares.known(CRM, wecom.shares[0].corp_id, None)
    await world.run(preloading)
    assert CHILDREN < len(second.memory)
    assert asked == wecom.count()


async def test_a_start_does_not_wait_for_a_store_that_is_away(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    await filled(world, replica, wecom)
    second = await world.start()
    second.store.cut()
    preloading = await asyncio.wait_for(second.core.preload(SECOND), timeout=SECOND.total_seconds())

    assert not preloading.done()
    assert None is second.shares.known(CRM, wecom.shares[0].corp_id, None)


async def test_what_was_only_loaded_is_not_renewed_and_is_forgotten(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await filled(world, replica, wecom)
    second = await world.start()
    await world.run(second.core.preloaded())
    second.refresh_ahead()
    asked = wecom.count()
    await clock.jump(LIFETIME + timedelta(hours=1))
    await clock.advance(5 * SECOND)

    assert (0, asked) == (len(second.memory), wecom.count())


async def test_a_store_that_is_away_is_waited_for_and_calls_are_answered_meanwhile(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    keys = await filled(world, replica, wecom)
    second = await world.start()
    second.store.cut()
    preloading = second.tasks.create_task(second.core.preloaded())
    await clock.advance(3 * SECOND)
    held_without = len(second.memory)
    second.store.mend()
    await clock.advance(3 * SECOND)

    assert preloading.done()
    assert (0, len(keys)) == (held_without, len(second.memory))


async def test_what_has_ended_or_was_forgotten_stays_away(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    keys = await filled(world, replica, wecom)
    wecom.shares = wecom.shares[1:]
    await clock.jump(timedelta(minutes=1))
    await world.run(replica.lister.sync(CRM))
    await settle()
    second = await world.start()
    await world.run(second.core.preloaded())
    await clock.jump(LIFETIME)
    third = await world.start()
    await world.run(third.core.preloaded())

    assert {keys[0].name, keys[-1].name} == {key.name for key in keys if second.memory.get(key) is None}
    assert 0 == len(third.memory)


async def test_a_newer_one_that_came_meanwhile_is_not_replaced(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await filled(world, replica, wecom)
    second = await world.start()
    await clock.jump(timedelta(minutes=1))
    newest = (await world.run(second.engine.refresh(OWN)))[1]
    await world.run(second.core.preloaded())

    assert newest == second.memory.get(OWN)
