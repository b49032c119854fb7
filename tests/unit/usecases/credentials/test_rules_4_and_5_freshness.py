"""Rules 4 and 5: what is valid is served, renewed in time, and never believed longer than it lives."""

import asyncio
from datetime import timedelta

import pytest

from broker.domain.credentials import Credential, Freshness
from broker.domain.errors import WecomProtocol, WecomUnavailable
from broker.simulator.world.tokens import Habit
from tests.kit.memory.engine_world import LIFETIME, OWN, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Call, Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
AGEING = LIFETIME * 0.81
NEARLY_GONE = LIFETIME - timedelta(seconds=59)


@pytest.fixture
async def held(world: EngineWorld, replica: Replica) -> Credential:
    """A token that was fetched a moment ago."""
    return await world.run(replica.engine.get(OWN))


def busy() -> WecomUnavailable:
    return WecomUnavailable("WeCom is busy")


async def test_rule_4_a_fresh_token_is_served_from_memory(
    replica: Replica, held: Credential, wecom: SimulatedWecom
) -> None:
    assert held == await replica.engine.get(OWN)
    assert 1 == wecom.count()


async def test_rule_4_an_ageing_token_is_served_at_once_and_refreshed_behind_the_caller(
    replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.delay = SECOND
    await clock.jump(AGEING)

    assert [held] * 10 == [await replica.engine.get(OWN) for _ in range(10)]

    await clock.advance(SECOND)
    renewed = await replica.engine.get(OWN)
    assert renewed.generation > held.generation
    assert 2 == wecom.count()


async def test_rule_4_an_ageing_token_on_a_fleet_is_renewed_once(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replicas = await world.fleet(3)
    await world.gather(*(replica.engine.get(OWN) for replica in replicas))
    await clock.jump(AGEING)

    await world.gather(*(replica.engine.get(OWN) for replica in replicas * 10))
    await settle()
    renewed = {(await replica.engine.get(OWN)).generation for replica in replicas}

    assert 2 == wecom.count()
    assert 1 == len(renewed)


async def test_rule_4_a_token_that_is_nearly_gone_waits_for_its_refresh(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.delay = SECOND
    await clock.jump(NEARLY_GONE)

    found = await world.gather(*(replica.engine.get(OWN) for _ in range(10)))

    assert all(credential.generation > held.generation for credential in found)
    assert 2 == wecom.count()


async def test_rule_4_a_failed_refresh_keeps_serving_the_valid_token(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, busy)
    await clock.jump(NEARLY_GONE)

    assert held == await world.run(replica.engine.get(OWN))
    assert held.value.reveal() in str(world.shared.records[OWN.name].payload)

    await clock.jump(MINUTE)
    with pytest.raises(WecomUnavailable):
        await world.run(replica.engine.get(OWN))


async def test_rule_4_not_every_call_pays_for_a_failing_refresh(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.delay = SECOND / 2
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomProtocol("nonsense"))
    await clock.jump(NEARLY_GONE)
    assert held == await world.run(replica.engine.get(OWN))
    began, calls = clock.now(), wecom.count()

    assert [held] * 20 == [await replica.engine.get(OWN) for _ in range(20)]

    assert began == clock.now()
    assert calls == wecom.count()


async def test_rule_4_a_refresh_is_tried_again_after_a_rest(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, busy, times=1)
    await clock.jump(NEARLY_GONE)
    await world.run(replica.engine.get(OWN))
    await clock.jump(2 * SECOND)

    assert (await world.run(replica.engine.get(OWN))).generation > held.generation


async def test_rule_4_nearly_gone_is_a_tenth_of_a_short_life(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.lifetime = 20 * SECOND
    held = await world.run(replica.engine.get(OWN))

    await clock.jump(15 * SECOND)
    assert Freshness.FRESH is held.freshness(clock.now(), world.policy)
    await clock.jump(2 * SECOND)
    assert Freshness.AGEING is held.freshness(clock.now(), world.policy)
    await clock.jump(1.5 * SECOND)
    assert Freshness.NEARLY_GONE is held.freshness(clock.now(), world.policy)
    await clock.jump(1.5 * SECOND)
    assert Freshness.EXPIRED is held.freshness(clock.now(), world.policy)


async def test_rule_4_a_caller_who_needs_more_time_waits_for_a_longer_token(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await clock.jump(LIFETIME / 2)

    longer = await world.run(replica.engine.get(OWN, LIFETIME * 0.6))

    assert longer.expires_at - clock.now() == LIFETIME
    assert 2 == wecom.count()


async def test_rule_4_a_demand_that_wecom_cannot_meet_is_not_fetched_for_on_each_call(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    for _ in range(60):
        await world.run(replica.engine.get(OWN, 2 * LIFETIME))
        await clock.jump(SECOND)

    assert wecom.count() <= 1 + 60 / world.policy.cooldown.total_seconds()


async def test_rule_4_a_demand_is_met_though_somebody_with_a_smaller_one_asked_first(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    first = await world.start()
    await world.run(first.engine.get(OWN))
    await clock.jump(LIFETIME / 2)
    cold = await world.start()

    modest, demanding = await world.gather(cold.engine.get(OWN), cold.engine.get(OWN, LIFETIME * 0.6))

    assert modest.expires_at - clock.now() == LIFETIME / 2
    assert demanding.expires_at - clock.now() == LIFETIME


async def test_rule_4_a_demand_that_fails_is_served_what_is_valid(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, busy)

    assert held == await world.run(replica.engine.get(OWN, 2 * LIFETIME))


@pytest.mark.parametrize("habit", [Habit.SAME_VALUE_FULL_LIFETIME, Habit.SAME_VALUE_REMAINING])
async def test_rule_5_the_same_value_keeps_its_expiry(
    world: EngineWorld,
    replica: Replica,
    held: Credential,
    wecom: SimulatedWecom,
    clock: FakeClock,
    habit: Habit,
) -> None:
    wecom.habit = habit
    await clock.jump(AGEING)
    await replica.engine.get(OWN)
    await settle()

    again = await replica.engine.get(OWN)

    assert (held.value, held.expires_at) == (again.value, again.expires_at)
    assert clock.now() == again.renewed_at
    assert 2 == wecom.count()


@pytest.mark.parametrize("habit", [Habit.SAME_VALUE_FULL_LIFETIME, Habit.SAME_VALUE_REMAINING])
async def test_rule_5_the_same_value_keeps_its_generation(
    world: EngineWorld,
    replica: Replica,
    held: Credential,
    wecom: SimulatedWecom,
    clock: FakeClock,
    habit: Habit,
) -> None:
    wecom.habit = habit
    await clock.jump(SECOND)

    rotated, again = await world.run(replica.engine.refresh(OWN))

    assert not rotated
    assert held.generation == again.generation
    assert again.fence > held.fence


@pytest.mark.parametrize("habit", [Habit.SAME_VALUE_FULL_LIFETIME, Habit.SAME_VALUE_REMAINING])
async def test_rule_5_a_value_that_runs_out_while_it_is_fetched_again_is_asked_for_once_more(
    world: EngineWorld,
    replica: Replica,
    held: Credential,
    wecom: SimulatedWecom,
    clock: FakeClock,
    habit: Habit,
) -> None:
    wecom.habit = habit
    wecom.delay = 2 * SECOND
    wecom.answers_as_asked = True
    await clock.jump(LIFETIME - SECOND)

    found = await world.run(replica.engine.get(OWN))

    assert found.generation > held.generation
    assert wecom.is_alive(found.value)
    assert 3 == wecom.count()
    assert (OWN.name, "failed") not in replica.witness.refreshes
    assert replica.error_cache.active(OWN.name) is None


@pytest.mark.parametrize("habit", [Habit.SAME_VALUE_FULL_LIFETIME, Habit.SAME_VALUE_REMAINING])
@pytest.mark.parametrize("lifetime", [10 * SECOND, 30 * SECOND, LIFETIME])
async def test_rule_5_nobody_is_refused_and_nobody_waits_for_two_fetches_at_a_rotation(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock, habit: Habit, lifetime: timedelta
) -> None:
    wecom.habit, wecom.lifetime, wecom.answers_as_asked = habit, lifetime, True
    wecom.delay = SECOND / 5
    replicas = await world.fleet(2)
    for replica in replicas:
        replica.refresh_ahead()
    await world.gather(*(replica.engine.get(OWN) for replica in replicas))
    await clock.advance(lifetime - 6 * SECOND)
    waits: list[timedelta] = []

    async def ask(replica: Replica) -> None:
        began = clock.now()
        found = await replica.engine.get(OWN)
        assert found.is_valid(clock.now())
        waits.append(clock.now() - began)

    tasks = []
    for _ in range(200):
        tasks += [asyncio.create_task(ask(replica)) for replica in replicas]
        await clock.advance(SECOND / 20)
    await clock.advance(2 * SECOND)
    await asyncio.gather(*tasks)

    assert max(waits) <= wecom.delay * 1.25
    assert 3 <= wecom.count() <= 30


async def test_rule_5_a_clock_that_is_set_back_while_wecom_is_asked_makes_no_token_live_longer(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    """The answer that brings the token also shows that this machine's clock is ahead."""
    replica.clock.skew = 10 * MINUTE

    def set_back(_call: Call, _wecom: SimulatedWecom) -> None:
        replica.clock.skew = timedelta(0)

    wecom.on_call = set_back
    found = await world.run(replica.engine.get(OWN))

    assert found.expires_at <= clock.now() + LIFETIME


async def test_rule_5_a_value_that_never_becomes_usable_is_an_outage(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.lifetime = SECOND
    wecom.delay = 2 * SECOND

    refused = await world.run(outcome(replica.engine.get(OWN)))

    assert isinstance(refused, WecomUnavailable)
    assert refused.retry_after
    assert 3 == wecom.count()


async def test_rule_5_a_token_in_its_last_minute_is_asked_for_ever_less_often_than_it_is_served(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.habit = Habit.SAME_VALUE_REMAINING
    wecom.delay = timedelta(milliseconds=50)
    await clock.jump(NEARLY_GONE)

    for _ in range(580):
        await world.run(replica.engine.get(OWN))
        await clock.advance(timedelta(milliseconds=50))

    assert wecom.count() < 60


async def test_a_caller_who_goes_away_leaves_the_fetch_to_the_others(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    impatient = asyncio.create_task(replica.engine.get(OWN))
    await settle()
    impatient.cancel()

    await world.run(replica.engine.get(OWN))

    assert 1 == wecom.count()
