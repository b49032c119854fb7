"""Engine rule 7: an error is not tried again for as long as it is true, on any replica."""

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.credentials import CredentialKey
from broker.domain.errors import (
    AppDisabled,
    BrokerError,
    IpNotTrusted,
    RateLimited,
    SecretRejected,
    TokenRejected,
    WecomProtocol,
    WecomUnavailable,
)
from broker.domain.ports.rate_gate import CallScope
from broker.domain.secret import Secret
from broker.usecases.limits.rate_gate import LIMITS
from tests.kit.memory.engine_world import (
    CHILD,
    CHILD_TARGET,
    CRM,
    OWN,
    OWN_TARGET,
    PARENT,
    EngineWorld,
    Replica,
    outcome,
)
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def busy() -> WecomUnavailable:
    return WecomUnavailable("WeCom is busy")


def limited() -> RateLimited:
    return RateLimited("over the limit", errcode=45009)


async def test_rule_7_a_rejected_secret_is_not_tried_again_by_callers_of_any_replica(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.set_secret(CRM, "another")
    replicas = await world.fleet(3)

    for _ in range(50):
        for replica in replicas:
            for call in (replica.tokens.get(OWN_TARGET), replica.engine.get(CHILD)):
                assert isinstance(await world.run(outcome(call)), SecretRejected)
        await clock.jump(MINUTE)

    assert 1 == wecom.count()


async def test_rule_7_a_rejected_secret_is_tried_again_after_an_hour(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong"), times=1)
    await world.run(outcome(replica.engine.get(OWN)))
    await clock.jump(HOUR)

    assert await world.run(replica.engine.get(OWN))


async def test_rule_7_a_replica_with_another_secret_tries_it(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.set_secret(CRM, "the new secret")
    old = await world.start()
    assert isinstance(await world.run(outcome(old.engine.get(OWN))), SecretRejected)

    new = await world.start(apps=[replace(CRM, secret=Secret("the new secret"))])
    found = await world.run(new.engine.get(OWN))
    await settle()

    assert found == await world.run(old.engine.get(OWN))
    assert 2 == wecom.count()


async def test_rule_7_a_refused_parent_is_told_to_who_asks_for_a_child(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: IpNotTrusted("not trusted", errcode=60020, ip="203.0.113.9"))

    error = await world.run(outcome(replica.tokens.get(CHILD_TARGET)))

    assert isinstance(error, IpNotTrusted)
    assert {"errcode": "60020", "ip": "203.0.113.9"} == error.metadata
    assert 1 == wecom.count()


@pytest.mark.parametrize("kind", [SecretRejected, AppDisabled, IpNotTrusted, WecomProtocol])
async def test_rule_7_what_is_remembered_says_the_same_on_every_replica(
    world: EngineWorld, wecom: SimulatedWecom, kind: type[BrokerError]
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: kind("so it is", errcode=1))
    one, other = await world.fleet(2)

    first = await world.run(outcome(one.engine.get(OWN)))
    second = await world.run(outcome(other.engine.get(OWN)))

    assert isinstance(first, kind)
    assert isinstance(second, kind)
    assert (first.message, first.metadata) == (second.message, second.metadata)
    assert 1 == wecom.count()


async def test_rule_7_an_operator_tries_past_what_any_replica_remembers(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong"), times=1)
    one, other = await world.fleet(2)
    await world.run(outcome(one.engine.get(OWN)))
    await clock.jump(SECOND)

    rotated, credential = await world.run(other.engine.refresh(OWN))
    await settle()

    assert rotated
    assert credential == await world.run(one.engine.get(OWN))


async def test_rule_7_a_rate_limit_closes_the_endpoint_for_that_corp(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    corp = replace(CRM, name="other", corp_id="ww-other")
    wecom.set_secret(corp)
    one, other = [await world.start(apps=[CRM, corp]) for _ in range(2)]
    await world.run(one.engine.get(OWN))
    wecom.fail(Endpoint.CHILD_TOKEN, limited, times=1)

    error = await world.run(outcome(one.engine.get(CHILD)))
    elsewhere = await world.run(outcome(other.engine.get(replace(CHILD, corp_id="ww-second", agent_id=8))))

    assert isinstance(error, RateLimited)
    assert MINUTE == error.retry_after
    assert isinstance(elsewhere, RateLimited)
    assert 1 == wecom.count(Endpoint.CHILD_TOKEN)

    assert await world.run(other.engine.get(CredentialKey.own_token(corp)))
    [use] = [use for use in await one.gate.quotas([PARENT], [Endpoint.CHILD_TOKEN]) if use.limit == LIMITS[0]]
    assert (1, clock.now() + MINUTE) == (use.used, use.closed_until)

    await clock.jump(MINUTE)
    assert await world.run(other.engine.get(CHILD))


async def test_rule_7_a_rate_limit_outlives_the_success_of_a_call_that_was_under_way(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    scope = CallScope("crm", PARENT, Endpoint.CHILD_TOKEN)
    await replica.gate.before(scope)
    await replica.gate.before(scope)
    await replica.gate.after(scope, limited())
    await replica.gate.after(scope, None)

    with pytest.raises(RateLimited):
        await replica.gate.before(scope)


async def test_rule_7_a_limit_of_one_suite_closes_nothing_for_another(replica: Replica) -> None:
    market, other = (
        CallScope(suite, "", "/cgi-bin/service/get_suite_token") for suite in ("market", "other")
    )
    await replica.gate.before(market)
    await replica.gate.after(market, limited())

    await replica.gate.before(other)
    with pytest.raises(RateLimited):
        await replica.gate.before(market)


async def test_rule_7_a_limit_that_stays_is_closed_longer_each_time_up_to_an_hour(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, limited)
    waits = []
    for _ in range(8):
        error = await world.run(outcome(replica.engine.get(OWN)))
        assert isinstance(error, RateLimited)
        assert error.retry_after
        waits.append(error.retry_after)
        await clock.jump(error.retry_after)

    assert [MINUTE, 2 * MINUTE, 4 * MINUTE] == waits[:3]
    assert HOUR == waits[-1]


async def test_rule_7_an_outage_is_tried_less_and_less_often_and_ends_with_success(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, busy)
    waits = []
    for _ in range(9):
        error = await world.run(outcome(replica.engine.get(OWN)))
        assert isinstance(error, WecomUnavailable)
        assert error.retry_after
        waits.append(error.retry_after)
        await clock.jump(error.retry_after)

    assert [SECOND / 2, SECOND, 2 * SECOND] == waits[:3]
    assert 30 * SECOND == waits[-1]

    wecom.recover()
    found = await world.run(replica.engine.get(OWN))
    wecom.fail(Endpoint.APP_TOKEN, busy)
    await clock.jump(SECOND)
    error = await world.run(outcome(replica.engine.refresh(OWN)))
    assert isinstance(error, WecomUnavailable)
    assert SECOND / 2 == error.retry_after
    assert found == await world.run(replica.engine.get(OWN))


async def test_rule_7_an_outage_is_spread_by_chance(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    world.randomness.throw = 1.0
    wecom.fail(Endpoint.APP_TOKEN, busy)

    error = await world.run(outcome(replica.engine.get(OWN)))

    assert isinstance(error, WecomUnavailable)
    assert SECOND / 2 * 1.2 == error.retry_after


async def test_rule_7_an_outage_is_shared_by_the_fleet(world: EngineWorld, wecom: SimulatedWecom) -> None:
    wecom.fail(Endpoint.APP_TOKEN, busy)
    replicas = await world.fleet(3)

    for replica in replicas:
        assert isinstance(await world.run(outcome(replica.engine.get(OWN))), WecomUnavailable)

    assert 1 == wecom.count()


async def test_rule_7_calls_that_fail_together_are_one_outage(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.engine.get(OWN))
    wecom.delay = SECOND
    wecom.fail(Endpoint.CHILD_TOKEN, busy)

    errors = await world.gather(
        *(outcome(replica.engine.get(replace(CHILD, agent_id=number))) for number in range(20))
    )

    assert all(isinstance(error, WecomUnavailable) for error in errors)
    await clock.jump(SECOND)
    wecom.recover()
    wecom.delay = timedelta(0)
    assert await world.run(replica.engine.get(CHILD))


async def test_rule_7_an_app_s_secret_that_is_answered_like_a_dead_token_is_an_outage(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: TokenRejected("42001", errcode=42001))
    replicas = await world.fleet(3)

    for replica in replicas:
        error = await world.run(outcome(replica.engine.get(OWN)))
        assert WecomUnavailable is type(error)
        assert "42001" == error.metadata["errcode"]  # type: ignore[attr-defined]

    assert 1 == wecom.count()


async def test_rule_7_one_spoilt_answer_is_that_call_s_alone(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    one, other = await world.fleet(2)
    await world.run(one.engine.get(OWN))
    wecom.fail(Endpoint.CHILD_TOKEN, busy, times=1)

    spoilt = await world.run(outcome(one.engine.get(CHILD)))
    others = [
        await world.run(outcome(replica.engine.get(replace(CHILD, corp_id=f"ww-{number}", agent_id=8))))
        for number, replica in enumerate([one, other] * 5)
    ]

    assert isinstance(spoilt, WecomUnavailable)
    assert [] == [error for error in others if isinstance(error, WecomUnavailable)]


async def test_rule_7_an_outage_of_one_app_and_corp_is_no_other_s(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    corp = replace(CRM, name="other", corp_id="ww-other")
    wecom.set_secret(corp)
    replica = await world.start(apps=[CRM, corp])
    await world.run(replica.engine.get(OWN))
    wecom.fail(Endpoint.CHILD_TOKEN, busy, times=20)
    keys = [replace(CHILD, agent_id=number) for number in range(20)]
    await world.gather(*(outcome(replica.engine.get(key)) for key in keys))
    sent = wecom.count(Endpoint.CHILD_TOKEN)

    elsewhere = await world.run(outcome(replica.engine.get(CredentialKey.own_token(corp))))
    again = await world.run(outcome(replica.engine.get(replace(CHILD, agent_id=99))))

    assert not isinstance(elsewhere, BrokerError)
    assert isinstance(again, WecomUnavailable)
    assert again.retry_after
    assert sent == wecom.count(Endpoint.CHILD_TOKEN)


async def test_rule_7_the_longest_wait_is_what_wecom_asks_for(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: RateLimited("wait", 10 * MINUTE))

    error = await world.run(outcome(replica.engine.get(OWN)))

    assert isinstance(error, RateLimited)
    assert 10 * MINUTE == error.retry_after


async def test_rule_7_a_remembered_error_says_how_long_is_left(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, limited)
    await world.run(outcome(replica.engine.get(OWN)))
    await clock.jump(20 * SECOND)

    error = await world.run(outcome(replica.engine.get(OWN)))

    assert isinstance(error, RateLimited)
    assert 40 * SECOND == error.retry_after
