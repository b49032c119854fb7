"""What is in use is renewed before its callers would have to wait."""

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.credentials import CredentialKey
from broker.domain.errors import AppDisabled, WecomUnavailable
from broker.usecases.credentials.refresh_ahead import (
    KEPT_AFTER_EXPIRY,
    KEPT_AFTER_FAILURE,
    MOST_OUTDATED,
    RENEWALS_AT_ONCE,
)
from tests.kit.memory.engine_world import CHILD_SHARE, CRM, LIFETIME, OWN, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DUE = LIFETIME * 0.84
"""The advisory moment, and the fifth of what is left that chance may add."""


async def test_what_was_used_is_renewed_once_for_the_fleet(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replicas = await world.fleet(3)
    [held, *_] = await world.gather(*(replica.engine.get(OWN) for replica in replicas))
    for replica in replicas:
        replica.refresh_ahead()

    await clock.jump(DUE)
    await clock.advance(SECOND)

    renewed = {(await replica.engine.get(OWN)).generation for replica in replicas}
    assert 1 == len(renewed)
    assert renewed.pop() > held.generation
    assert 2 == wecom.count()


async def test_nothing_is_renewed_before_it_ages(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.refresh_ahead()
    await world.run(replica.engine.get(OWN))

    await clock.jump(LIFETIME * 0.79)
    await clock.advance(SECOND)

    assert 1 == wecom.count()


async def test_what_nobody_has_used_since_its_renewal_is_left_to_expire(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.refresh_ahead()
    await world.run(replica.engine.get(OWN))
    for _ in range(3):
        await clock.jump(LIFETIME)
        await clock.advance(SECOND)

    # The first use is a use; nobody came after the one renewal that it earned.
    assert wecom.count() <= 2
    assert replica.memory.find(OWN) is None, "swept"


async def test_what_is_watched_is_renewed_again_and_again(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.refresh_ahead()
    watching = replica.engine.watch(OWN)
    generations = [(await world.run(anext(watching))).generation]
    for _ in range(3):
        await clock.jump(DUE)
        await clock.advance(SECOND)
        generations.append((await world.run(anext(watching))).generation)
    await watching.aclose()

    assert generations == sorted(set(generations))
    assert 4 == wecom.count()


async def test_who_begins_to_watch_late_gets_the_renewal_though_the_first_attempt_fails(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.engine.get(OWN))
    held = replica.memory.hold(OWN)
    held.used_at = 0.0
    replica.refresh_ahead()
    await clock.jump(DUE)
    await clock.advance(SECOND)
    assert 1 == wecom.count(), "idle: it was not renewed when it was due"
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("busy"), times=1)

    watching = replica.engine.watch(OWN)
    old = await world.run(anext(watching))
    await settle()
    assert 2 == wecom.count()
    new = await world.run(anext(watching), within=10 * SECOND)
    await watching.aclose()

    assert new.generation > old.generation


async def test_a_failed_renewal_is_tried_again_less_and_less_often(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.refresh_ahead()
    held = await world.run(replica.engine.get(OWN))
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("busy"))
    await clock.jump(DUE)
    await clock.advance(5 * MINUTE)
    tries = wecom.count()
    assert 8 <= tries <= 20

    wecom.recover()
    await clock.advance(MINUTE)

    assert (await replica.engine.get(OWN)).generation > held.generation
    assert tries + 1 == wecom.count()


@pytest.fixture
async def refused(world: EngineWorld, replica: Replica, wecom: SimulatedWecom) -> list[CredentialKey]:
    """Children whose tokens WeCom refuses from now on; they end an hour before their parent's does."""
    wecom.shares = [replace(CHILD_SHARE, agent_id=number) for number in range(60)]
    keys = [CredentialKey.child_token(CRM, share) for share in wecom.shares]
    await world.gather(*(replica.engine.get(key) for key in keys))
    await world.clock.jump(LIFETIME / 2)
    await world.run(replica.engine.refresh(OWN))
    wecom.fail(Endpoint.CHILD_TOKEN, lambda: AppDisabled("disabled"))
    replica.refresh_ahead()
    return keys


async def test_what_ended_and_was_not_used_since_is_not_asked_for_again_and_again(
    replica: Replica, refused: list[CredentialKey], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await clock.advance(LIFETIME / 2 + MINUTE)
    wecom.calls.clear()

    await clock.advance(5 * MINUTE)
    assert 0 == wecom.count(Endpoint.CHILD_TOKEN)

    await clock.jump(KEPT_AFTER_FAILURE)
    await clock.advance(SECOND)
    assert not [key for key in refused if replica.memory.find(key)], "swept"


async def test_what_is_refused_keeps_nothing_else_from_being_renewed(
    world: EngineWorld,
    replica: Replica,
    refused: list[CredentialKey],
    wecom: SimulatedWecom,
    clock: FakeClock,
) -> None:
    watches = [replica.engine.watch(key) for key in (*refused, OWN)]
    held = (await world.gather(*(anext(watch) for watch in watches)))[-1]
    await clock.jump(LIFETIME / 2 + MINUTE)
    await clock.advance(held.advisory_moment(world.policy) - clock.now() - MINUTE)
    wecom.calls.clear()

    # The advisory moment, and the fifth of what is left that chance may add.
    await clock.advance(MINUTE + LIFETIME / 25 + SECOND)

    renewed = replica.memory.get(OWN)
    assert renewed
    assert renewed.generation > held.generation
    # It is refused for ten minutes and more each time.
    assert wecom.count(Endpoint.CHILD_TOKEN) <= 2 * len(refused)
    for watch in watches:
        await watch.aclose()


async def test_a_refusal_that_is_remembered_is_not_looked_up_in_the_store_each_second(
    replica: Replica, world: EngineWorld, refused: list[CredentialKey], clock: FakeClock
) -> None:
    watches = [replica.engine.watch(key) for key in refused]
    await world.gather(*(anext(watch) for watch in watches))
    await clock.jump(LIFETIME / 2 + MINUTE)
    await clock.advance(MINUTE)
    replica.witness.refreshes.clear()

    await clock.advance(MINUTE)

    assert not replica.witness.refreshes
    for watch in watches:
        await watch.aclose()


async def test_renewals_in_the_background_are_bounded(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.shares = [replace(CHILD_SHARE, agent_id=number) for number in range(100)]
    keys = [CredentialKey.child_token(CRM, share) for share in wecom.shares]
    await world.gather(*(replica.engine.get(key) for key in keys))
    wecom.most_in_flight = 0
    wecom.delay = SECOND
    replica.refresh_ahead()

    await clock.jump(DUE)
    await clock.advance(20 * SECOND)

    assert wecom.most_in_flight <= RENEWALS_AT_ONCE
    # Those who were under way when the parent's old token died have asked once more.
    assert 200 <= wecom.count(Endpoint.CHILD_TOKEN) <= 200 + RENEWALS_AT_ONCE


@pytest.mark.parametrize(("throw", "share_of_life"), [(-1.0, 0.8), (0.0, 0.84), (1.0, 0.88)])
async def test_renewals_are_spread_by_chance(
    world: EngineWorld,
    replica: Replica,
    wecom: SimulatedWecom,
    clock: FakeClock,
    throw: float,
    share_of_life: float,
) -> None:
    world.randomness.throw = throw
    replica.refresh_ahead()
    await world.run(replica.engine.get(OWN))

    await clock.jump(LIFETIME * share_of_life - 2 * SECOND)
    await clock.advance(SECOND)
    assert 1 == wecom.count()
    await clock.advance(2 * SECOND)
    assert 2 == wecom.count()


async def test_without_the_store_nothing_is_renewed_ahead(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.refresh_ahead()
    held = await world.run(replica.engine.get(OWN))
    replica.store.cut()
    await clock.jump(DUE)
    await clock.advance(10 * SECOND)
    assert 1 == wecom.count()

    replica.store.mend()
    await clock.advance(5 * SECOND)
    assert (await replica.engine.get(OWN)).generation > held.generation


async def test_what_expired_long_ago_is_swept(world: EngineWorld, replica: Replica, clock: FakeClock) -> None:
    replica.refresh_ahead()
    await world.run(replica.engine.get(OWN))
    replica.memory.hold(OWN).used_at = 0.0
    await clock.jump(LIFETIME + KEPT_AFTER_EXPIRY / 2)
    await clock.advance(SECOND)
    assert 1 == len(replica.memory)

    await clock.jump(KEPT_AFTER_EXPIRY)
    await clock.advance(SECOND)
    assert 0 == len(replica.memory)


async def test_watches_that_were_left_leave_nothing_behind(
    world: EngineWorld, replica: Replica, clock: FakeClock
) -> None:
    await world.run(replica.engine.get(OWN))
    before = replica.core.ahead.scheduled
    for turn in range(5000):
        world.randomness.throw = turn % 100 / 100
        watching = replica.engine.watch(OWN)
        await anext(watching)
        await watching.aclose()

    assert before == replica.core.ahead.scheduled


@pytest.mark.slow
async def test_what_is_scheduled_grows_with_credentials_not_with_their_rotations(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    for _ in range(2 * MOST_OUTDATED):
        await clock.jump(SECOND)
        await world.run(replica.engine.refresh(OWN))
    assert wecom.count() >= 2 * MOST_OUTDATED
    assert replica.core.ahead.scheduled <= MOST_OUTDATED + 2

    replica.refresh_ahead()
    held = await world.run(replica.engine.get(OWN))
    await clock.jump(DUE)
    await clock.advance(SECOND)
    assert (await replica.engine.get(OWN)).generation > held.generation


async def test_a_failure_that_nobody_asks_about_any_more_is_swept(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("busy"))
    replica.refresh_ahead()
    await world.run(outcome(replica.engine.get(OWN)))
    assert 1 == len(replica.memory), "operators can see it"

    await clock.jump(KEPT_AFTER_FAILURE)
    await clock.advance(SECOND)
    assert 0 == len(replica.memory)
