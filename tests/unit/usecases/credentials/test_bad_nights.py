"""What an operator meets at night: tickets without a store, a write that failed once, callers who insist."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from broker.domain.credentials import CredentialKey, CredentialKind
from broker.domain.errors import RateLimited, SecretRejected
from broker.simulator.world.tokens import Habit
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.fleet.leased_flight import OFFLINE_FETCHES
from tests.kit.memory.engine_world import (
    CHILD_SHARE,
    CRM,
    LIFETIME,
    OWN,
    OWN_TARGET,
    EngineWorld,
    Replica,
    outcome,
)
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)


async def test_rule_10_cold_tickets_without_a_store_wait_for_their_tokens_and_block_nobody(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    wecom.shares = [replace(CHILD_SHARE, agent_id=number + 1) for number in range(3 * OFFLINE_FETCHES)]
    keys = [
        CredentialKey.child_token(CRM, share).of_kind(CredentialKind.AGENT_TICKET) for share in wecom.shares
    ]
    replica.store.cut()

    found = await world.gather(*(replica.engine.get(key) for key in keys))

    assert keys == [credential.key for credential in found]


async def test_rule_9_what_one_failed_write_kept_back_reaches_the_fleet_within_seconds(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.habit = Habit.NEW_VALUE_KILLS_OLD
    one, other = await world.fleet(2)
    held = await world.run(one.engine.get(OWN))
    await world.run(other.engine.get(OWN))
    replacing = asyncio.create_task(one.engine.replace(OWN, held.generation))
    wecom.delay = SECOND
    await clock.advance(SECOND / 2)
    one.store.away = True  # no connection is lost: nobody is told
    await clock.advance(SECOND)
    one.store.away = False
    _, rotated = await world.run(replacing)
    await clock.advance(3 * SECOND)

    assert rotated.value == (await world.run(other.engine.get(OWN))).value


async def test_rule_6_a_report_of_a_newer_generation_is_looked_up_before_it_is_answered(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    one, deaf = await world.fleet(2)
    first = await world.run(one.engine.get(OWN))
    await world.run(deaf.engine.get(OWN))
    deaf.store.deaf = True
    _, second = await world.run(one.engine.replace(OWN, first.generation))
    wecom.kill(second.value)
    await clock.jump(60 * SECOND)

    result, third = await world.run(deaf.tokens.report(OWN_TARGET, second.generation, 40014))

    assert ReportOutcome.ROTATED is result
    assert wecom.is_alive(third.value)


async def test_a_wish_that_wecom_cannot_fulfil_rotates_nothing(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    for _ in range(20):
        await world.run(replica.tokens.get(OWN_TARGET, 2 * LIFETIME))
        await clock.jump(11 * SECOND)

    assert 1 == wecom.count(Endpoint.APP_TOKEN)


async def test_rule_7_an_operator_who_insists_on_a_wrong_secret_sends_it_once_a_cooldown(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong", errcode=40001))

    for _ in range(20):
        await world.run(outcome(replica.engine.refresh(OWN)))

    assert wecom.count(Endpoint.APP_TOKEN) <= 2


async def test_rule_7_a_rate_limit_holds_for_its_whole_window(replica: Replica, clock: FakeClock) -> None:
    lengths = []
    for number in range(50):
        limited = RateLimited("too many")
        await replica.error_cache.remember(f"limit:{number}", limited)
        lengths.append(limited.retry_after)

    assert 60 * SECOND <= min(length for length in lengths if length)


async def test_a_flapping_watcher_leaves_nothing_behind(world: EngineWorld, replica: Replica) -> None:
    await world.run(replica.engine.get(OWN))
    for _ in range(500):
        watching = replica.engine.watch(OWN)
        await world.run(anext(watching))
        await watching.aclose()

    assert len(replica.core.ahead._due) <= 2
