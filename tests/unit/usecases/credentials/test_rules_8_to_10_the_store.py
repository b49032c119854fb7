"""Rules 8 to 10: names without secrets, waiting without trust in notices, serving without a store."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.adapters.storage import codecs
from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import StoreUnavailable, WecomUnavailable
from broker.domain.ports.store import Record
from broker.domain.shares import AppShare
from broker.simulator.world.tokens import Habit
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.fleet.leased_flight import OFFLINE_FETCHES, POLL
from tests.kit.memory.engine_world import (
    CHILD,
    CHILD_SHARE,
    CHILD_TARGET,
    CRM,
    LIFETIME,
    OWN,
    EngineWorld,
    Replica,
    outcome,
    wait_for,
)
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)


def stored(world: EngineWorld, key: CredentialKey = OWN) -> Credential:
    return codecs.CREDENTIALS.decode(key, world.shared.records[key.name])


# --- engine rule 8


async def test_rule_8_no_name_in_the_store_holds_a_secret(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    await world.run(replica.tokens.get(CHILD_TARGET))
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("busy"))
    await world.run(outcome(replica.engine.refresh(OWN)))

    names = " ".join([*world.shared.records, *world.shared.issued, *world.shared.counters])

    secrets = [CRM.secret.reveal(), CRM.secret.fingerprint(), *wecom.values()]
    assert not [secret for secret in secrets if secret in names]


def test_rule_8_a_key_differs_by_each_of_its_parts() -> None:
    keys = {
        CHILD,
        OWN,
        replace(CHILD, app="market"),
        replace(CHILD, corp_id="ww-other"),
        replace(CHILD, agent_id=8),
        replace(CHILD, share_kind=ShareKind.SUPPLY_CHAIN),
    }

    assert 6 == len(keys) == len({key.name for key in keys})


async def test_rule_8_both_kinds_of_share_are_two_credentials(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    chain = AppShare(ShareKind.SUPPLY_CHAIN, CHILD_SHARE.corp_id, CHILD_SHARE.agent_id)
    wecom.shares.append(chain)

    one, other = await world.gather(
        replica.engine.get(CHILD), replica.engine.get(CredentialKey.child_token(CRM, chain))
    )

    assert one.value != other.value
    assert 2 == wecom.count(Endpoint.CHILD_TOKEN)


# --- engine rule 9


async def test_rule_9_a_waiter_wakes_by_notice(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.delay = SECOND / 8
    one, other = await world.fleet(2)
    began = clock.now()
    first = asyncio.create_task(one.engine.get(OWN))
    second = asyncio.create_task(other.engine.get(OWN))

    await clock.advance(SECOND / 8)

    assert first.result() == second.result()
    assert SECOND / 8 == clock.now() - began


async def test_rule_9_a_waiter_finds_it_by_poll_where_notices_are_lost(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.delay = SECOND / 8
    one, deaf = await world.fleet(2)
    deaf.store.deaf = True
    first = asyncio.create_task(one.engine.get(OWN))
    second = asyncio.create_task(deaf.engine.get(OWN))

    await clock.advance(SECOND / 4)
    assert first.done()
    assert not second.done()
    await clock.advance(POLL)
    assert first.result() == second.result()
    assert 1 == wecom.count()


async def test_rule_9_a_commit_reaches_the_memory_of_the_others(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    one, other = await world.fleet(2)
    held, _ = await world.gather(one.engine.get(OWN), other.engine.get(OWN))

    _, rotated = await world.run(one.engine.replace(OWN, held.generation))
    await settle()

    assert rotated == await other.engine.get(OWN)
    assert 2 == wecom.count()


async def test_rule_9_whoever_reconnects_looks_again_at_everything(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    one, other = await world.fleet(2)
    keys = [replace(CHILD, agent_id=number) for number in range(20)]
    wecom.shares = [replace(CHILD_SHARE, agent_id=number) for number in range(20)]
    before = await world.gather(*(replica.engine.get(key) for key in keys for replica in (one, other)))
    other.store.deaf = True
    after = [
        (await world.run(one.engine.replace(key, held.generation)))[1]
        for key, held in zip(keys, before[::2], strict=True)
    ]
    await settle()
    assert before[1::2] == [await other.engine.get(key) for key in keys]

    other.store.deaf = False
    other.store.mend()
    await settle()

    assert after == [await other.engine.get(key) for key in keys]


async def test_rule_9_what_the_store_lost_is_brought_back(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    await world.run(replica.tokens.get(CHILD_TARGET))
    before = dict(world.shared.records)
    replica.store.cut()
    world.shared.lose_data()
    replica.store.mend()
    await settle()

    assert before == world.shared.records
    newcomer = await world.start()
    assert await world.run(newcomer.tokens.get(CHILD_TARGET)) == await replica.engine.get(CHILD)
    assert 1 == wecom.count(Endpoint.CHILD_TOKEN)


async def test_rule_9_what_has_expired_is_not_brought_back(
    world: EngineWorld, replica: Replica, clock: FakeClock
) -> None:
    await world.run(replica.engine.get(OWN))
    await clock.jump(LIFETIME)
    world.shared.lose_data()
    replica.store.mend()
    await settle()

    assert OWN.name not in world.shared.records


async def test_rule_9_a_notice_that_comes_while_the_follower_looks_is_not_lost(
    world: EngineWorld, clock: FakeClock
) -> None:
    one, other = await world.fleet(2)
    held, _ = await world.gather(one.engine.get(OWN), other.engine.get(OWN))
    load = other.store.load

    async def slow_load(names: list[str]) -> dict[str, Record]:
        found = await load(names)
        await clock.sleep(SECOND)
        return found

    other.store.load = slow_load  # type: ignore[assignment, method-assign]
    for turn in (1, 2):
        newer = replace(held, generation=held.generation + turn, fence=held.fence + turn)
        await one.storage.credentials.offer(newer)
        await clock.advance(SECOND / 2)
    await clock.advance(3 * SECOND)

    assert held.fence + 2 == (await other.engine.get(OWN)).fence


async def test_rule_9_a_follower_tries_again_though_the_store_says_nothing_of_its_return(
    world: EngineWorld, clock: FakeClock
) -> None:
    one, other = await world.fleet(2)
    held, _ = await world.gather(one.engine.get(OWN), other.engine.get(OWN))
    load, failures = other.store.load, [StoreUnavailable("a hiccup")]

    async def failing_load(names: list[str]) -> dict[str, Record]:
        if failures:
            raise failures.pop()
        return await load(names)

    other.store.load = failing_load  # type: ignore[assignment, method-assign]
    _, rotated = await world.run(one.engine.replace(OWN, held.generation))
    await settle()
    assert not failures
    await clock.advance(2 * SECOND)

    assert rotated == await other.engine.get(OWN)


# --- engine rule 10


async def test_rule_10_what_is_in_memory_is_served_while_the_store_is_away(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    held = await world.run(replica.engine.get(OWN))
    replica.store.cut()

    assert held == await replica.engine.get(OWN)
    await clock.jump(LIFETIME * 0.9)
    assert held == await replica.engine.get(OWN)
    await clock.advance(5 * SECOND)
    assert 1 == wecom.count(), "ageing: replicas without a store could kill each other's tokens"


async def test_rule_10_what_must_be_fetched_is_fetched_without_the_store(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.store.cut()
    cold = await world.run(replica.engine.get(OWN))
    await clock.jump(LIFETIME - SECOND)
    renewed = await world.run(replica.engine.get(OWN))

    assert renewed.generation > cold.generation
    assert 2 == wecom.count()


async def test_rule_10_many_callers_without_the_store_cost_one_fetch_a_replica(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    replicas = await world.fleet(3)
    for replica in replicas:
        replica.store.cut()

    await world.gather(*(replicas[turn % 3].engine.get(OWN) for turn in range(100)))

    assert 3 == wecom.count()


async def test_rule_10_fetches_without_the_store_are_bounded_and_a_chain_is_not_locked_out(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    wecom.shares = [replace(CHILD_SHARE, corp_id=f"ww-child-{number}") for number in range(40)]
    replica.store.cut()

    found = await world.gather(
        *(replica.tokens.get(Target("crm", share.corp_id)) for share in wecom.shares),
        *(replica.engine.get(CredentialKey.child_token(CRM, share)) for share in wecom.shares),
    )

    assert all(wecom.is_alive(credential.value) for credential in found)
    assert wecom.most_in_flight <= OFFLINE_FETCHES + 2, "the parent and the listing have slots of their own"
    assert 1 == wecom.count(Endpoint.APP_TOKEN)


async def test_rule_10_cold_children_without_a_store_wait_for_a_parent_who_was_asked_first(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    wecom.shares = [replace(CHILD_SHARE, agent_id=number) for number in range(40)]
    replica.store.cut()

    await world.gather(
        *(replica.engine.get(CredentialKey.child_token(CRM, share)) for share in wecom.shares[:20]),
        replica.engine.get(OWN),
        *(replica.engine.get(CredentialKey.child_token(CRM, share)) for share in wecom.shares[20:]),
    )

    assert 1 == wecom.count(Endpoint.APP_TOKEN)


async def test_rule_10_a_report_without_the_store_is_limited_by_the_replica(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    held = await world.run(replica.engine.get(OWN))
    replica.store.cut()
    await clock.jump(SECOND)

    first, rotated = await world.run(replica.engine.replace(OWN, held.generation))
    second, current = await world.run(replica.engine.replace(OWN, rotated.generation))
    await clock.jump(world.policy.cooldown)
    third, _ = await world.run(replica.engine.replace(OWN, rotated.generation))

    assert [ReportOutcome.ROTATED, ReportOutcome.COOLING_DOWN, ReportOutcome.ROTATED] == [
        first,
        second,
        third,
    ]
    assert rotated == current


async def test_rule_10_a_fetch_that_outlives_the_store_counts_in_memory_and_is_offered_later(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.delay = SECOND
    fetching = asyncio.create_task(replica.engine.get(OWN))
    await clock.advance(SECOND / 2)
    replica.store.cut()
    credential = await world.run(wait_for(fetching))
    assert OWN.name not in world.shared.records

    replica.store.mend()
    await settle()

    assert credential == stored(world)
    assert 1 == wecom.count()


async def test_rule_10_a_fetch_alone_that_outlives_the_outage_reaches_the_fleet(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    offline_slots, other = await world.fleet(2)
    await world.run(other.engine.get(OWN))
    await clock.jump(SECOND)
    offline_slots.store.cut()
    wecom.delay = SECOND
    fetching = asyncio.create_task(offline_slots.engine.get(OWN))
    await clock.advance(SECOND / 2)
    offline_slots.store.mend()
    alone = await world.run(wait_for(fetching))
    await settle()

    assert alone == await other.engine.get(OWN) == stored(world)


async def test_rule_10_a_fetch_alone_that_the_fleet_was_ahead_of_gives_way(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    offline_slots, other = await world.fleet(2)
    offline_slots.store.cut()
    wecom.delay = SECOND
    fetching = asyncio.create_task(offline_slots.engine.get(OWN))
    await clock.advance(SECOND / 2)
    theirs = asyncio.create_task(other.engine.get(OWN))
    await settle()
    offline_slots.store.mend()

    found = await world.gather(wait_for(fetching), wait_for(theirs))
    await settle()

    assert wecom.is_alive(stored(world).value) or found[0] == found[1]
    assert await offline_slots.engine.get(OWN) == await other.engine.get(OWN) == stored(world)


@pytest.mark.parametrize("habit", list(Habit))
@pytest.mark.parametrize("apart", [timedelta(0), SECOND])
async def test_rule_10_replicas_that_fetched_alone_agree_when_the_store_is_back(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock, habit: Habit, apart: timedelta
) -> None:
    wecom.habit = habit
    replicas = await world.fleet(3)
    for replica in replicas:
        replica.store.cut()
    alone = []
    for replica in replicas:
        alone.append(await world.run(replica.engine.get(OWN)))
        await clock.jump(apart)

    for replica in replicas:
        replica.store.mend()
    await settle()

    together = [await replica.engine.get(OWN) for replica in replicas]
    assert 1 == len({(credential.value, credential.generation) for credential in together})
    assert all(now.generation >= then.generation for now, then in zip(together, alone, strict=True))
    assert together[0] == stored(world)
    if apart:
        assert wecom.is_alive(together[0].value)


async def test_rule_10_a_value_renewed_by_the_fleet_meanwhile_gets_a_number_that_is_ahead(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.habit = Habit.NEW_VALUE_OLD_ALIVE
    offline_slots, other = await world.fleet(2)
    held, _ = await world.gather(offline_slots.engine.get(OWN), other.engine.get(OWN))
    offline_slots.store.cut()
    await clock.jump(SECOND)
    _, alone = await world.run(offline_slots.engine.refresh(OWN))
    # The fleet has the first value still, and renews it.
    await clock.jump(SECOND)
    renewed = replace(held, fence=alone.fence + 1, renewed_at=clock.now())
    await other.storage.credentials.offer(renewed)

    offline_slots.store.mend()
    await settle()

    ours, theirs = await offline_slots.engine.get(OWN), await other.engine.get(OWN)
    assert ours == theirs == stored(world)
    assert held.value == ours.value
    assert ours.generation > alone.generation


async def test_rule_10_a_renewal_alone_does_not_take_the_fleet_back(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.habit = Habit.SAME_VALUE_FULL_LIFETIME
    offline_slots, other = await world.fleet(2)
    held, _ = await world.gather(offline_slots.engine.get(OWN), other.engine.get(OWN))
    offline_slots.store.cut()
    await clock.jump(SECOND)
    wecom.kill(held.value)
    _, rotated = await world.run(other.engine.replace(OWN, held.generation))
    await clock.jump(SECOND)
    # The one that is cut off renews what it has later than that.
    offline_slots.memory.put(replace(held, fence=rotated.fence + 1000, renewed_at=clock.now()))

    offline_slots.store.mend()
    await settle()

    ours, theirs = await offline_slots.engine.get(OWN), await other.engine.get(OWN)
    assert ours == theirs == stored(world)
    assert ours.generation > rotated.generation


async def test_rule_10_a_renewal_alone_in_the_same_moment_as_the_fleets_fetch_gets_one_number(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    offline_slots, other = await world.fleet(2)
    held, _ = await world.gather(offline_slots.engine.get(OWN), other.engine.get(OWN))
    offline_slots.store.cut()
    moment = held.fence + 1000
    offline_slots.memory.put(replace(held, fence=moment))
    await other.storage.credentials.offer(replace(held, fence=moment, generation=moment))

    offline_slots.store.mend()
    await settle()

    ours, theirs = await offline_slots.engine.get(OWN), await other.engine.get(OWN)
    assert ours == theirs == stored(world)
    assert ours.generation >= moment


async def test_rule_10_without_wecom_everything_valid_is_served_to_its_last_second(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.refresh_ahead()
    held = await world.run(replica.engine.get(OWN))
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("away"))
    await clock.jump(LIFETIME - 20 * SECOND)
    for _ in range(39):
        assert held == await world.run(replica.engine.get(OWN))
        await clock.advance(SECOND / 2)
    await clock.advance(SECOND / 2)

    assert isinstance(await world.run(outcome(replica.engine.get(OWN))), WecomUnavailable)


async def test_rule_10_the_errors_of_a_replica_without_a_store_are_its_own(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("busy"))
    replicas = await world.fleet(2)
    for replica in replicas:
        replica.store.cut()
        for _ in range(5):
            error = await world.run(outcome(replica.engine.get(OWN)))
            assert isinstance(error, WecomUnavailable)
            assert error.retry_after

    assert 2 == wecom.count()
