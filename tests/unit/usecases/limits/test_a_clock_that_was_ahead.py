"""What was remembered by a clock that was hours ahead keeps nobody from trying once it is set back."""

from datetime import timedelta

import pytest

from broker.domain.credentials import RefreshPolicy
from broker.domain.errors import AppDisabled, SecretRejected, WecomUnavailable
from broker.domain.ports.rate_gate import CallScope
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.credentials.renewal_pace import RenewalPace
from broker.usecases.limits.circuit_breaker import FEWEST_FAILURES, WINDOW, CircuitBreakers
from tests.kit.memory.engine_world import LIFETIME, OWN, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock, FixedRandomness, SkewedClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
AHEAD = 8 * HOUR
LIST = CallScope("crm", "ww-parent", "/cgi-bin/user/list")


@pytest.fixture
async def others(world: EngineWorld, replica: Replica, wecom: SimulatedWecom) -> list[Replica]:
    """The fleet after a replica, whose clock is set back now, has failed and succeeded."""
    right = await world.start()
    replica.clock.skew = AHEAD
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("no route"), times=1)
    assert isinstance(await world.run(outcome(replica.engine.get(OWN))), WecomUnavailable)
    await world.clock.jump(2 * SECOND)
    wecom.on_call = lambda _call, _wecom: setattr(replica.clock, "skew", timedelta(0))
    await world.run(replica.engine.get(OWN))
    return [replica, right]


async def test_an_outage_that_is_over_is_over_for_the_whole_fleet(
    world: EngineWorld, others: list[Replica], clock: FakeClock
) -> None:
    for _ in range(3):
        await clock.jump(LIFETIME)
        for replica in others:
            assert (await world.run(replica.engine.get(OWN))).is_valid(clock.now())


async def test_what_is_refused_now_is_remembered_all_the_same(
    world: EngineWorld, others: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await clock.jump(LIFETIME)
    wecom.calls.clear()
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong", errcode=40001))

    for _ in range(50):
        for replica in others:
            assert isinstance(await world.run(outcome(replica.engine.get(OWN))), SecretRejected)
        await clock.jump(SECOND)

    assert 1 == wecom.count(Endpoint.APP_TOKEN)
    await others[1].error_cache.lift(OWN.name)
    await settle()
    assert [None, None] == [replica.error_cache.active(OWN.name, "crm") for replica in others]


async def test_an_error_that_came_again_meanwhile_is_over_all_the_same(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: AppDisabled("disabled"))
    for _ in range(4):
        await world.run(outcome(replica.engine.get(OWN)))
        await clock.jump(HOUR)
    replica.clock.skew = HOUR
    await world.run(outcome(replica.engine.get(OWN)))
    replica.clock.skew = timedelta(0)
    wecom.recover()
    await clock.jump(HOUR / 2)

    assert (await world.run(replica.engine.get(OWN))).is_valid(clock.now())


async def test_what_the_store_still_holds_gives_way_to_what_is_true_now(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    other = await world.start()
    replica.clock.skew = AHEAD
    wecom.fail(Endpoint.APP_TOKEN, lambda: AppDisabled("disabled"))
    await world.run(outcome(replica.engine.get(OWN)))
    replica.clock.skew = timedelta(0)
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong", errcode=40001))
    wecom.calls.clear()

    for each in (other, replica):
        assert isinstance(await world.run(outcome(each.engine.get(OWN))), SecretRejected)

    assert 1 == wecom.count(Endpoint.APP_TOKEN)
    assert not await world.run(_is_remembered_after_lifting(other))


async def _is_remembered_after_lifting(replica: Replica) -> bool:
    await replica.error_cache.lift(OWN.name)
    return bool(await replica.error_cache.remembered("crm"))


async def test_a_renewal_that_failed_is_tried_again(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.refresh_ahead()
    held = await world.run(replica.engine.get(OWN))
    replica.clock.skew = LIFETIME / 10
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("busy"), times=1)
    await clock.jump(LIFETIME * 0.85)
    assert 2 == wecom.count(Endpoint.APP_TOKEN)
    replica.clock.skew = timedelta(0)
    await replica.engine.get(OWN)

    await clock.advance(60 * SECOND)

    assert (await replica.engine.get(OWN)).generation > held.generation


def test_an_open_breaker_lets_a_probe_through() -> None:
    skewed = SkewedClock(FakeClock())
    breakers = CircuitBreakers(skewed, FixedRandomness())
    skewed.skew = AHEAD
    for _ in range(FEWEST_FAILURES):
        breakers.failed(LIST)
    skewed.skew = timedelta(0)

    breakers.check(LIST)

    with pytest.raises(WecomUnavailable) as refused:
        breakers.check(LIST)
    assert refused.value.retry_after
    assert refused.value.retry_after < 60 * SECOND


async def test_failures_of_before_do_not_count_for_hours() -> None:
    clock = FakeClock()
    skewed = SkewedClock(clock)
    breakers = CircuitBreakers(skewed, FixedRandomness())
    skewed.skew = AHEAD
    for _ in range(FEWEST_FAILURES - 1):
        breakers.failed(LIST)
    skewed.skew = timedelta(0)
    breakers.succeeded(LIST)
    await clock.jump(WINDOW)
    breakers.failed(LIST)

    breakers.check(LIST)


async def test_a_watched_renewal_that_failed_is_tried_again(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.refresh_ahead()
    watching = replica.engine.watch(OWN)
    held = await world.run(anext(watching))
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("no route"), times=1)
    replica.clock.skew = AHEAD
    await clock.advance(SECOND)
    assert 2 == wecom.count(Endpoint.APP_TOKEN)
    replica.clock.skew = timedelta(0)

    await clock.jump(LIFETIME * 0.9)
    await clock.advance(2 * SECOND)

    assert held.generation < (await world.run(anext(watching))).generation
    await watching.aclose()


async def test_renewals_that_were_counted_hold_up_no_others() -> None:
    skewed = SkewedClock(FakeClock())
    pace = RenewalPace(CredentialCache(RefreshPolicy()), skewed, unpaced=6)
    skewed.skew = AHEAD
    pace.started(OWN)
    assert not pace.admits()
    skewed.skew = timedelta(0)

    assert pace.admits()


async def test_a_report_without_the_store_is_no_cooldown_of_hours(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    held = await world.run(replica.engine.get(OWN))
    replica.store.cut()
    replica.clock.skew = LIFETIME / 2
    _, second = await world.run(replica.engine.replace(OWN, held.generation))
    wecom.kill(second.value)
    replica.clock.skew = timedelta(0)
    await world.clock.jump(15 * SECOND)

    _, third = await world.run(replica.engine.replace(OWN, second.generation))

    assert wecom.is_alive(third.value)
