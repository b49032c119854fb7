"""Engine rule 6: a report of a dead token costs one fetch; a dead parent is replaced under its children."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.apps import App, Target
from broker.domain.credentials import Credential, CredentialKey, CredentialKind
from broker.domain.errors import (
    BrokerError,
    InvalidRequest,
    SecretRejected,
    TokenRejected,
    WecomProtocol,
    WecomUnavailable,
)
from broker.domain.ports.store import Busy
from broker.domain.secret import Secret
from broker.domain.suites.catalog import Catalog
from broker.simulator.world.tokens import Habit
from broker.usecases.credentials.reports import ReportOutcome
from broker.usecases.limits.forced import NOBODY
from broker.usecases.limits.recovery_budget import MOST_STEPS, begin_recovery_budget
from tests.kit.memory.engine_world import (
    CHILD,
    CHILD_TARGET,
    CRM,
    LIFETIME,
    OWN,
    OWN_TARGET,
    EngineWorld,
    Replica,
    outcome,
)
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)
TICKET = CHILD.of_kind(CredentialKind.CORP_TICKET)


@pytest.fixture
async def held(world: EngineWorld, replica: Replica, clock: FakeClock) -> Credential:
    """A token that was fetched a minute ago."""
    credential = await world.run(replica.engine.get(OWN))
    await clock.jump(60 * SECOND)
    return credential


def dead() -> TokenRejected:
    return TokenRejected("the token is dead", errcode=40014)


async def refused(token: Credential) -> None:
    """Answer as WeCom does to a call with a dead token."""
    raise dead()


async def with_a_reset_secret(world: EngineWorld, replica: Replica, wecom: SimulatedWecom) -> Credential:
    """Return a child's token; at WeCom all tokens are dead, and the app's secret is another one."""
    child = await world.run(replica.engine.get(CHILD))
    await world.clock.jump(60 * SECOND)
    for token in (child, await replica.engine.get(OWN)):
        wecom.kill(token.value)
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong secret"))
    return child


@pytest.mark.parametrize("errcode", [0, 40014, 42001])
async def test_rule_6_a_report_of_the_current_generation_fetches_anew(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, errcode: int
) -> None:
    wecom.kill(held.value)

    result, after = await world.run(replica.tokens.report(OWN_TARGET, held.generation, errcode))

    assert ReportOutcome.ROTATED is result
    assert after.generation > held.generation
    assert wecom.is_alive(after.value)


@pytest.mark.parametrize("difference", [-1, 1, 10**12])
async def test_rule_6_a_report_of_another_generation_changes_nothing(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, difference: int
) -> None:
    result, after = await world.run(replica.tokens.report(OWN_TARGET, held.generation + difference, 40014))

    assert (ReportOutcome.ALREADY_ROTATED, held) == (result, after)
    assert 1 == wecom.count()


async def test_rule_6_a_report_to_a_replica_that_missed_the_rotation_brings_the_new_one(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom
) -> None:
    other = await world.start()
    await world.run(other.engine.get(OWN))
    other.store.deaf = True
    _, rotated = await world.run(replica.engine.replace(OWN, held.generation))

    assert held == await other.engine.get(OWN)
    assert (ReportOutcome.ALREADY_ROTATED, rotated) == await world.run(
        other.engine.replace(OWN, held.generation)
    )
    assert 2 == wecom.count()


@pytest.mark.parametrize("habit", [Habit.SAME_VALUE_FULL_LIFETIME, Habit.SAME_VALUE_REMAINING])
async def test_rule_6_a_report_that_wecom_answers_with_the_same_value_is_told_so(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, habit: Habit
) -> None:
    wecom.habit = habit

    result, after = await world.run(replica.engine.replace(OWN, held.generation))

    assert ReportOutcome.UNCHANGED is result
    assert (held.generation, held.value) == (after.generation, after.value)
    assert 2 == wecom.count()


async def test_rule_6_one_forced_fetch_in_a_cooldown_over_the_fleet(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    other = await world.start()
    result, rotated = await world.run(replica.engine.replace(OWN, held.generation))
    again, current = await world.run(other.engine.replace(OWN, rotated.generation))

    assert [ReportOutcome.ROTATED, ReportOutcome.COOLING_DOWN] == [result, again]
    assert rotated == current
    assert 2 == wecom.count()

    await clock.jump(world.policy.cooldown)
    later, after = await world.run(other.engine.replace(OWN, rotated.generation))
    assert ReportOutcome.ROTATED is later
    assert after.generation > rotated.generation


async def test_rule_6_a_failed_forced_fetch_keeps_the_reported_token_and_cools_down(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("busy"), times=1)

    failed = await world.run(outcome(replica.engine.replace(OWN, held.generation)))
    result, after = await world.run(replica.engine.replace(OWN, held.generation))

    assert isinstance(failed, WecomUnavailable)
    assert (ReportOutcome.COOLING_DOWN, held) == (result, after)


async def test_rule_6_reports_of_two_callers_at_once_are_told_of_the_failure_of_their_one_fetch(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong secret"))
    before = wecom.count(Endpoint.APP_TOKEN)
    reports = [
        outcome(replica.engine.replace(OWN, held.generation, by)) for by in ("shop", "billing", NOBODY)
    ]
    told = await world.run(asyncio.gather(*reports))

    assert [SecretRejected] * 3 == [type(each) for each in told]
    assert 1 == wecom.count(Endpoint.APP_TOKEN) - before


async def test_rule_6_so_are_reports_of_two_replicas_at_once(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom
) -> None:
    other = await world.start()
    await world.run(other.engine.get(OWN))
    wecom.fail(Endpoint.APP_TOKEN, lambda: SecretRejected("wrong secret"))
    reports = [outcome(each.engine.replace(OWN, held.generation)) for each in (replica, other)]
    told = await world.run(asyncio.gather(*reports))

    assert [SecretRejected] * 2 == [type(each) for each in told]


async def test_rule_6_reports_of_a_child_at_once_are_told_what_its_parent_was_refused_for(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    child = await with_a_reset_secret(world, replica, wecom)
    reports = [outcome(replica.engine.replace(CHILD, child.generation, by)) for by in ("shop", "billing")]
    told = await world.run(asyncio.gather(*reports))

    assert [SecretRejected] * 2 == [type(each) for each in told]


async def test_rule_6_calls_that_find_a_child_dead_are_told_what_its_parent_was_refused_for(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    await with_a_reset_secret(world, replica, wecom)
    calls = [await world.run(outcome(replica.engine.using(CHILD, refused))) for _ in range(3)]
    of_ticket = [await world.run(outcome(replica.engine.get(TICKET))) for _ in range(2)]

    assert [SecretRejected] * 5 == [type(each) for each in calls + of_ticket]


@pytest.mark.parametrize("key", [OWN, CHILD])
async def test_rule_6_a_refusal_that_was_lifted_is_told_no_more(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, key: CredentialKey
) -> None:
    await with_a_reset_secret(world, replica, wecom)
    assert isinstance(await world.run(outcome(replica.engine.using(key, refused))), SecretRejected)
    # As a corrected secret does, or a corp that authorises the app again.
    await world.run(replica.error_cache.lift(OWN.name))

    assert isinstance(await world.run(outcome(replica.engine.using(key, refused))), WecomUnavailable)


async def test_rule_6_a_refusal_of_the_secret_before_a_reload_is_told_no_more(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    await with_a_reset_secret(world, replica, wecom)
    assert isinstance(await world.run(outcome(replica.engine.using(CHILD, refused))), SecretRejected)
    replica.catalog.replace(Catalog({CRM.name: replace(CRM, secret=Secret("corrected"))}))

    assert isinstance(await world.run(outcome(replica.engine.using(CHILD, refused))), WecomUnavailable)


async def test_rule_6_an_answer_that_nobody_understands_is_told_until_another_fetch_is_allowed(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomProtocol("no JSON"))
    told = [await world.run(outcome(replica.engine.using(OWN, refused)))]
    await clock.advance(world.policy.cooldown / 2)
    assert not replica.engine.is_refused(OWN)
    told.append(await world.run(outcome(replica.engine.using(OWN, refused))))

    assert [WecomProtocol] * 2 == [type(each) for each in told]


async def test_rule_6_a_call_that_finds_the_token_dead_is_told_what_keeps_a_new_one_away(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom
) -> None:
    other = await world.start()
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("away", endpoint=Endpoint.APP_TOKEN))
    told = [
        await world.run(outcome(each.engine.using(OWN, refused))) for each in (replica, replica, other, other)
    ]

    assert {"away"} == {each.message for each in told if isinstance(each, WecomUnavailable)}
    assert 4 == len(told)


async def test_rule_6_a_report_that_cools_down_never_hands_out_what_has_expired(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await clock.jump(LIFETIME - 62 * SECOND)
    await world.shared.connections[0].count(f"forced:{OWN.name}", world.policy.cooldown)
    assert not isinstance(await world.shared.connections[0].acquire(OWN.name, 4 * SECOND), Busy)

    _, after = await world.run(replica.engine.replace(OWN, held.generation))

    assert after.generation > held.generation


async def test_rule_6_a_hundred_reports_on_three_replicas_cost_one_fetch(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replicas = await world.fleet(3)
    [held, *_] = await world.gather(*(replica.engine.get(OWN) for replica in replicas))
    wecom.kill(held.value)
    wecom.delay = SECOND

    told = await world.gather(
        *(replicas[turn % 3].tokens.report(OWN_TARGET, held.generation, 40014) for turn in range(100))
    )

    assert 2 == wecom.count()
    assert 1 == len({after.generation for _, after in told})
    assert {ReportOutcome.ROTATED, ReportOutcome.ALREADY_ROTATED} == {result for result, _ in told}


async def test_rule_6_a_report_of_a_token_that_nobody_holds_any_more_fetches_once(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    result, _ = await world.run(replica.tokens.report(OWN_TARGET, 12345, 42001))

    assert ReportOutcome.ALREADY_ROTATED is result
    assert 1 == wecom.count()


@pytest.mark.parametrize(("generation", "errcode"), [(0, 40014), (-1, 40014), (1, 40001), (1, 60020)])
async def test_rule_6_a_report_that_says_nothing_of_a_dead_token_is_refused(
    replica: Replica, generation: int, errcode: int
) -> None:
    with pytest.raises(InvalidRequest):
        await replica.tokens.report(OWN_TARGET, generation, errcode)


async def test_rule_6_a_child_fetch_that_finds_the_parent_dead_replaces_that_generation_once(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom
) -> None:
    wecom.kill(held.value)

    child = await world.run(replica.engine.get(CHILD))

    assert wecom.is_alive(child.value)
    assert 2 == wecom.count(Endpoint.CHILD_TOKEN)
    assert 2 == wecom.count(Endpoint.APP_TOKEN)
    assert (await replica.engine.get(OWN)).generation > held.generation


async def test_rule_6_many_children_who_find_the_parent_dead_replace_it_once(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    children = share_with_children(wecom, 12)
    replicas = await world.fleet(3)
    [held, *_] = await world.gather(*(replica.engine.get(OWN) for replica in replicas))
    await world.gather(*(replica.shares.all(CRM) for replica in replicas))
    wecom.kill(held.value)
    wecom.delay = SECOND

    found = await world.gather(
        *(replicas[turn % 3].tokens.get(Target("crm", child)) for turn, child in enumerate(children))
    )

    assert all(wecom.is_alive(credential.value) for credential in found)
    assert 2 == wecom.count(Endpoint.APP_TOKEN)


async def test_rule_6_a_listing_that_finds_the_parent_dead_replaces_it_too(
    world: EngineWorld, replica: Replica, held: Credential, wecom: SimulatedWecom
) -> None:
    wecom.kill(held.value)

    child = await world.run(replica.tokens.get(CHILD_TARGET))

    assert wecom.is_alive(child.value)
    assert 2 == wecom.count(Endpoint.APP_TOKEN)


@pytest.mark.parametrize("endpoints", [tuple(Endpoint), (Endpoint.CHILD_TOKEN,), (Endpoint.SHARES,)])
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("warm", [False, True])
async def test_rule_6_a_wecom_that_calls_every_token_dead_is_asked_four_times_for_a_request(
    world: EngineWorld,
    replica: Replica,
    wecom: SimulatedWecom,
    clock: FakeClock,
    endpoints: tuple[Endpoint, ...],
    listed: bool,
    warm: bool,
) -> None:
    if listed:
        await world.run(replica.shares.all(CRM))
        endpoints = tuple({*endpoints, Endpoint.CHILD_TOKEN})
    if warm:
        await world.run(replica.engine.get(OWN))
    elif listed:
        replica = await world.start()
        await settle()
        world.shared.records.pop(OWN.name)
    for endpoint in endpoints:
        wecom.fail(endpoint, dead)
    await clock.jump(60 * SECOND)
    before = wecom.count()

    error = await world.run(outcome(replica.tokens.get(CHILD_TARGET)))

    assert isinstance(error, WecomUnavailable)
    assert error.retry_after is not None
    assert error.retry_after > timedelta(0)
    assert 1 <= wecom.count() - before <= MOST_STEPS


async def test_rule_6_a_dead_token_for_ever_is_not_hammered_by_many_requests(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    wecom.fail(Endpoint.CHILD_TOKEN, dead)
    before = wecom.count()

    for _ in range(60):
        assert isinstance(await world.run(outcome(replica.tokens.get(CHILD_TARGET))), BrokerError)
        await clock.advance(SECOND)

    # The hold on the child grows to half a minute.
    assert wecom.count() - before <= 8 * MOST_STEPS


async def test_rule_6_an_errand_counts_across_the_tasks_that_work_for_it(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    begin_recovery_budget()
    tried = []

    async def always_dead(credential: Credential) -> None:
        tried.append(credential.generation)
        raise dead()

    with pytest.raises(WecomUnavailable):
        await replica.engine.using(OWN, always_dead)

    assert len(tried) + wecom.count() <= MOST_STEPS
    assert len(tried) == len(set(tried)), "a token that WeCom called dead was tried again"


async def test_rule_6_using_hands_on_what_the_call_returns(replica: Replica, held: Credential) -> None:
    async def call(credential: Credential) -> int:
        await asyncio.sleep(0)
        return credential.generation

    assert held.generation == await replica.engine.using(OWN, call)


def share_with_children(wecom: SimulatedWecom, number: int, app: App = CRM) -> list[str]:
    """Share the app with so many children; return their corp ids."""
    [share] = wecom.shares
    names = [f"ww-child-{turn}" for turn in range(number)]
    wecom.shares = [type(share)(share.share_kind, name, 100 + turn) for turn, name in enumerate(names)]
    return names


async def test_a_single_40014_costs_a_cold_caller_nothing_but_a_call(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.CHILD_TOKEN, dead, times=1)

    assert CHILD == (await world.run(replica.tokens.get(CHILD_TARGET))).key
    assert 4 == wecom.count()
