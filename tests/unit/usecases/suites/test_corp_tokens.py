"""The tokens of corps that authorised a suite, and what is done when WeCom refuses one of them."""

import asyncio
from datetime import timedelta

import pytest

from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey, CredentialKind
from broker.domain.errors import (
    BrokerError,
    CorpNotAuthorized,
    ReauthorizationRequired,
    SecretRejected,
    SuiteTicketMissing,
    WecomUnavailable,
)
from broker.domain.suites.authorization import Authorization, AuthorizationState
from broker.simulator import provider_demo as demo
from broker.simulator.world.corps import AppId
from broker.simulator.world.shares import BusinessType
from broker.simulator.world.tokens import Habit
from broker.usecases.limits.recovery_budget import begin_recovery_budget
from tests.kit.memory.engine_world import Replica, outcome
from tests.kit.memory.provider_world import ACME, MARKET, SECOND, TAILORED, ProviderWorld
from tests.kit.memory.suite_wecom import APP_TOKEN, AUTH_INFO, CORP_TOKEN, PRE_AUTH_CODE, SUITE_TOKEN

SUITE_KEY = CredentialKey.suite_token(MARKET)


def key_of(authorization: Authorization) -> CredentialKey:
    """Return the key of the corp's token."""
    return CredentialKey(authorization.suite, authorization.corp_id, authorization.agent_id)


async def kill(world: ProviderWorld, replica: Replica, key: CredentialKey) -> None:
    """Kill a token at WeCom, early."""
    assert world.suite_wecom.world.kill((await replica.engine.get(key)).value.reveal())


async def test_200_cold_callers_of_20_corps_cost_one_suite_token_and_20_corp_tokens() -> None:
    async with ProviderWorld(children=20) as world:
        fleet = await world.fleet(3)
        await world.push(fleet[0])
        corps = [await world.authorize(fleet[0], demo.child(index)) for index in range(1, 21)]
        for replica in list(fleet):
            await replica.crash()
        world.shared.lose_data()
        fleet = await world.fleet(3)
        await world.push(fleet[0])
        for found in corps:
            await fleet[0].storage.authorizations.offer(found)
        world.suite_wecom.calls.clear()
        world.suite_wecom.delay = SECOND

        tokens = await world.gather(
            *(fleet[caller % 3].engine.get(key_of(corps[caller % 20])) for caller in range(200))
        )

        assert 20 == len({token.value for token in tokens})
        assert (1, 20) == (world.suite_wecom.count(SUITE_TOKEN), world.suite_wecom.count(CORP_TOKEN))


async def test_a_provider_token_is_fetched_with_the_providers_secret(world: ProviderWorld) -> None:
    replica = await world.start()

    token = await world.run(replica.engine.get(CredentialKey.provider_token(ACME)))

    assert token.value


async def test_a_dead_suite_token_is_renewed_once_for_many_corps() -> None:
    async with ProviderWorld(children=10) as world:
        replica = await world.start()
        await world.push(replica)
        corps = [await world.authorize(replica, demo.child(index)) for index in range(1, 11)]
        await world.clock.advance(60 * SECOND)
        await kill(world, replica, SUITE_KEY)
        for found in corps:
            await kill(world, replica, key_of(found))
        world.suite_wecom.calls.clear()

        for found in corps:
            token = await replica.engine.get(key_of(found))
            await world.run(replica.engine.replace(key_of(found), token.generation))

        assert (1, 11) == (world.suite_wecom.count(SUITE_TOKEN), world.suite_wecom.count(CORP_TOKEN))
        assert all(found.is_usable for found in replica.core.authorizations.of("market"))


@pytest.mark.parametrize("kind", [SuiteTicketMissing, SecretRejected])
async def test_reports_at_once_of_a_corps_token_are_told_what_the_suite_was_refused_for(
    world: ProviderWorld, kind: type[BrokerError]
) -> None:
    replica = await world.start()
    await world.push(replica)
    key = key_of(await world.authorize(replica))
    token = await world.run(replica.engine.get(key))
    await world.clock.advance(60 * SECOND)
    for each in (key, SUITE_KEY):
        await kill(world, replica, each)
    world.suite_wecom.fail(SUITE_TOKEN, lambda: kind("refused"), times=9)
    reports = [outcome(replica.engine.replace(key, token.generation, by)) for by in ("shop", "billing")]
    told = await world.run(asyncio.gather(*reports))

    assert [kind] * 2 == [type(each) for each in told]


async def test_a_refused_permanent_code_ends_calls_for_that_corp_alone(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    gone = await world.authorize(first, demo.child(1))
    stays = await world.authorize(first, demo.child(2))
    await world.clock.advance(20 * SECOND)
    for errcode in (40084, 48004, 40082):
        world.suite_wecom.world.settings.cancelled_errcode = errcode
        await kill(world, first, key_of(gone))
        if errcode == 40084:
            world.suite_wecom.cancel(demo.child(1))
        token = await first.engine.get(key_of(gone))
        error = await outcome(world.run(first.engine.replace(key_of(gone), token.generation)))
        assert isinstance(error, ReauthorizationRequired), errcode
        break

    await world.clock.advance(SECOND)
    [marked] = [found for found in second.core.authorizations.of("market") if found.corp_id == gone.corp_id]
    assert AuthorizationState.REAUTHORIZATION_REQUIRED is marked.state
    assert "40084" in marked.problem
    await world.clock.advance(timedelta(hours=2))
    calls = world.suite_wecom.count(CORP_TOKEN)
    assert isinstance(await outcome(world.run(second.engine.get(key_of(gone)))), ReauthorizationRequired)
    assert calls == world.suite_wecom.count(CORP_TOKEN)
    await world.push(first)
    assert (await world.run(first.engine.get(key_of(stays)))).value


async def cancelled_without_a_word(world: ProviderWorld, errcode: int) -> tuple[Replica, Authorization]:
    """Return a replica that has not heard that a corp cancelled; WeCom answers with this errcode."""
    replica = await world.start()
    await world.push(replica)
    gone = await world.authorize(replica, demo.child(1))
    await world.authorize(replica, demo.child(2))
    await world.clock.advance(60 * SECOND)
    world.suite_wecom.world.settings.cancelled_errcode = errcode
    await kill(world, replica, key_of(gone))
    world.suite_wecom.cancel(demo.child(1))
    world.suite_wecom.calls.clear()
    begin_recovery_budget()
    return replica, gone


async def test_48004_means_that_the_corp_must_authorise_again(world: ProviderWorld) -> None:
    replica, gone = await cancelled_without_a_word(world, 48004)

    token = await replica.engine.get(key_of(gone))
    error = await outcome(world.run(replica.engine.replace(key_of(gone), token.generation)))

    assert isinstance(error, ReauthorizationRequired)
    assert 0 == world.suite_wecom.count(SUITE_TOKEN)


@pytest.mark.parametrize(
    ("habit", "calls"), [(Habit.NEW_VALUE_KILLS_OLD, 2), (Habit.SAME_VALUE_FULL_LIFETIME, 1)]
)
async def test_40082_renews_the_suite_token_once_and_then_means_that_the_corp_must_authorise_again(
    world: ProviderWorld, habit: Habit, calls: int
) -> None:
    world.suite_wecom.world.set_habit(habit)
    replica, gone = await cancelled_without_a_word(world, 40082)

    token = await replica.engine.get(key_of(gone))
    error = await outcome(world.run(replica.engine.replace(key_of(gone), token.generation)))

    assert isinstance(error, ReauthorizationRequired)
    assert (1, calls) == (world.suite_wecom.count(SUITE_TOKEN), world.suite_wecom.count(CORP_TOKEN))
    assert 1 == world.suite_wecom.count(PRE_AUTH_CODE)
    [marked, other] = replica.core.authorizations.of("market")
    assert {marked.state, other.state} == {
        AuthorizationState.REAUTHORIZATION_REQUIRED,
        AuthorizationState.ACTIVE,
    }


async def test_a_wecom_that_refuses_every_suite_token_costs_no_corp_its_authorisation(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    await world.clock.advance(60 * SECOND)
    await kill(world, replica, key_of(found))
    died = world.suite_wecom.world.settings.dead_suite_token_errcode

    def kill_every_suite_token(path: str) -> None:
        if path in (CORP_TOKEN, PRE_AUTH_CODE):
            world.suite_wecom.world.kill(replica.memory.get(SUITE_KEY).value.reveal())  # type: ignore[union-attr]

    world.suite_wecom.on_call = kill_every_suite_token
    token = await replica.engine.get(key_of(found))
    error = await outcome(world.run(replica.engine.replace(key_of(found), token.generation)))

    assert 40082 == died
    assert isinstance(error, WecomUnavailable)
    [kept] = replica.core.authorizations.of("market")
    assert kept.is_usable


async def test_a_customized_app_uses_its_permanent_code_as_secret(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica, TAILORED)

    found = await world.authorize(replica, suite=TAILORED)

    assert (await world.run(replica.engine.get(key_of(found)))).value
    assert 0 == world.suite_wecom.count(CORP_TOKEN)
    assert 1 == world.suite_wecom.count(APP_TOKEN)


async def test_a_child_of_a_shared_customized_app_gets_its_token_with_the_parents(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica, TAILORED)
    parent = await world.authorize(replica, suite=TAILORED)
    upstream = world.suite_wecom.world
    child = upstream.corps.get(demo.child(1))
    upstream.add_app(child.corpid, 1000077, None)
    upstream.corps.add_alias(world.suite_wecom.corp_id(child.corpid, "tailored"), child)
    upstream.share(AppId(demo.PARENT, parent.agent_id), AppId(child.corpid, 1000077), BusinessType.CORP_GROUP)
    key = CredentialKey(
        "tailored",
        world.suite_wecom.corp_id(demo.child(1), "tailored"),
        1000077,
        ShareKind.CORP_GROUP,
        parent_corp_id=parent.corp_id,
    )

    assert (await world.run(replica.engine.get(key))).value


async def test_an_unknown_corp_is_not_authorised(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)

    error = await outcome(world.run(replica.engine.get(CredentialKey("market", "wp-unknown", 0))))

    assert isinstance(error, CorpNotAuthorized)
    assert 0 == world.suite_wecom.count(CORP_TOKEN)


async def test_refreshing_an_authorisation_that_works_again_revives_it(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    error = ReauthorizationRequired("refused", errcode=40084)
    await replica.core.authorizations.refuse(found, error)
    assert not replica.core.authorizations.of("market")[0].is_usable
    calls = world.suite_wecom.count(AUTH_INFO)

    view = await world.run(replica.core.suites.overview.refresh("market", found.corp_id))

    assert "active" == view.state
    assert calls + 1 == world.suite_wecom.count(AUTH_INFO)
    assert (await world.run(replica.engine.get(key_of(found)))).value


async def test_an_authorisation_that_works_again_serves_tokens_again_at_once(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    await replica.core.authorizations.refuse(found, ReauthorizationRequired("refused", errcode=40084))
    await world.clock.advance(timedelta(hours=2, minutes=1))
    await world.push(replica)
    assert isinstance(await outcome(world.run(replica.engine.get(key_of(found)))), ReauthorizationRequired)

    view = await world.run(replica.core.suites.overview.refresh("market", found.corp_id))

    assert "active" == view.state
    assert (await world.run(replica.engine.get(key_of(found)))).value


async def test_a_refused_corp_that_changes_is_read_once_and_not_with_every_change_of_another(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica)
    gone = await world.authorize(replica, demo.child(1))
    other = await world.authorize(replica, demo.child(2))
    world.suite_wecom.cancel(demo.child(1))
    authorizations = replica.core.authorizations
    await authorizations.refuse(gone, ReauthorizationRequired("refused", errcode=40084))
    await authorizations.mark_stale(gone.key)
    await world.clock.advance(timedelta(minutes=1))
    calls = world.suite_wecom.count(AUTH_INFO)

    for _ in range(5):
        await authorizations.mark_stale(other.key)
        await world.clock.advance(timedelta(minutes=1))

    assert calls + 5 == world.suite_wecom.count(AUTH_INFO)


async def test_a_refusal_of_the_secret_before_a_reset_does_not_keep_out_the_new_one(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica, TAILORED)
    found = await world.authorize(replica, suite=TAILORED)
    await world.clock.advance(timedelta(hours=2, minutes=1))
    await world.push(replica, TAILORED)
    await world.run(replica.engine.get(CredentialKey.suite_token(TAILORED)))
    code = world.suite_wecom.reset(demo.PARENT)
    world.suite_wecom.delay = 2 * SECOND
    asking = asyncio.ensure_future(outcome(replica.engine.get(key_of(found))))
    await world.clock.advance(SECOND)

    world.suite_wecom.delay = SECOND / 100
    await world.take(replica, code, TAILORED, is_reset=True)
    await world.clock.advance(5 * SECOND)

    assert isinstance(asking.result(), Credential)


async def test_a_secret_that_wecom_refuses_is_asked_about_and_the_error_says_who_must_act(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica, TAILORED)
    found = await world.authorize(replica, suite=TAILORED)
    await world.clock.advance(timedelta(hours=2, minutes=1))
    await world.push(replica, TAILORED)
    world.suite_wecom.cancel(demo.PARENT, "tailored")
    world.suite_wecom.fail(APP_TOKEN, lambda: SecretRejected("40001", errcode=40001))

    error = await outcome(world.run(replica.engine.get(key_of(found))))
    await world.clock.advance(10 * SECOND)

    assert isinstance(error, SecretRejected)
    assert "重新获取secret" in error.message
    assert found.corp_id == error.metadata["corp_id"]
    [marked] = replica.core.authorizations.of("tailored")
    assert AuthorizationState.REAUTHORIZATION_REQUIRED is marked.state


async def test_48004_for_a_ticket_marks_the_authorisation_too(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    path = "/cgi-bin/get_jsapi_ticket"
    world.suite_wecom.fail(path, lambda: ReauthorizationRequired("48004", errcode=48004))
    ticket = key_of(found).of_kind(CredentialKind.CORP_TICKET)

    assert isinstance(await outcome(world.run(replica.engine.get(ticket))), ReauthorizationRequired)

    [marked] = replica.core.authorizations.of("market")
    assert AuthorizationState.REAUTHORIZATION_REQUIRED is marked.state
