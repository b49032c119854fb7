"""Auth_codes: each is sent once by the whole fleet, and no permanent code is lost."""

import asyncio
from datetime import timedelta

import pytest

from broker.domain.credentials import CredentialKey
from broker.domain.errors import (
    CallerLimited,
    CodeRejected,
    IpNotTrusted,
    RateLimited,
    StoreUnavailable,
    WecomUnavailable,
)
from broker.domain.secret import Secret
from broker.domain.suites.authorization import AuthorizationState
from broker.domain.suites.installation import KEPT_OF_CALLERS, InstallationState
from broker.domain.suites.view import ViewState
from broker.simulator import provider_demo as demo
from broker.usecases.suites.installations import MOST_OF_CALLERS
from tests.kit.memory.engine_world import Replica, outcome
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.provider_world import MARKET, SECOND, TAILORED, ProviderWorld
from tests.kit.memory.suite_wecom import EXCHANGE, SUITE_TOKEN

MINUTE = timedelta(minutes=1)


def sent_once(world: ProviderWorld) -> bool:
    """Return whether no code arrived twice."""
    return set(world.suite_wecom.codes.values()) <= {1}


async def views(replica: Replica, name: str = "market") -> list[tuple[str, ViewState]]:
    """Return what ListAuthorizations shows."""
    return [(view.corp_id, view.state) for view in await replica.core.suites.overview.list(name)]


async def test_a_code_becomes_an_authorisation_on_every_replica(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)

    found = await world.authorize(second)

    assert AuthorizationState.ACTIVE is found.state
    assert world.suite_wecom.permanent_code(demo.PARENT) == found.permanent_code
    assert found.agent_id > 0
    assert found.agents[0].edition is not None
    assert found == first.core.authorizations.get(found.key)
    assert [(found.corp_id, ViewState.ACTIVE)] == await views(first)


async def test_a_code_without_an_authorisation_says_what_it_waits_for(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    world.suite_wecom.delay = 5 * SECOND
    await world.take(replica, world.suite_wecom.install(demo.PARENT))
    await world.clock.advance(6 * SECOND)

    (pending,) = await replica.core.suites.overview.list("market")
    assert ViewState.PENDING is pending.state
    assert "the code was sent, and WeCom's answer is outstanding" == pending.problem


async def test_the_rows_of_a_long_list_are_made_once_between_two_changes(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    overview = replica.core.suites.overview
    rows = await overview.list("market")

    assert rows is await overview.list("market")
    await replica.core.authorizations.mark_stale(found.key)
    assert rows is not await overview.list("market")
    await world.take(replica, world.suite_wecom.install(demo.child(1)))
    assert 2 == len(await overview.list("market"))


async def test_pushes_of_one_code_to_every_replica_are_one_exchange(world: ProviderWorld) -> None:
    fleet = await world.fleet(3)
    await world.push(fleet[0])
    code = world.suite_wecom.install(demo.PARENT)
    world.suite_wecom.delay = SECOND

    for _ in range(4):
        for replica in fleet:
            await world.take(replica, code)
    await world.clock.advance(20 * SECOND)
    for replica in fleet:
        await world.take(replica, code)
    await world.clock.advance(20 * SECOND)

    assert {code.reveal(): 1} == world.suite_wecom.codes
    assert ["done"] == [ended for replica in fleet for ended in replica.suite_witness.exchanges]


async def test_50_children_at_once_are_50_exchanges() -> None:
    async with ProviderWorld(children=50) as world:
        fleet = await world.fleet(3)
        await world.push(fleet[0])
        for index in range(1, 51):
            code = world.suite_wecom.install(demo.child(index), parent=demo.PARENT)
            await world.take(fleet[index % 3], code)

        await world.clock.advance(MINUTE)

        assert 50 == world.suite_wecom.count(EXCHANGE)
        assert sent_once(world)
        for replica in fleet:
            held = replica.core.authorizations.of("market")
            assert 50 == len(held)
            assert all(found.is_usable and found.shared_from and not found.is_stale for found in held)
        assert 1 == world.suite_wecom.count(SUITE_TOKEN)


async def test_a_code_waits_for_a_ticket_and_says_so(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.take(replica, world.suite_wecom.install(demo.PARENT))
    await world.clock.advance(5 * SECOND)

    [view] = await replica.core.suites.overview.list("market")
    assert ViewState.PENDING is view.state
    assert "no suite_ticket of market has ever arrived" in view.problem

    await world.push(replica)
    await world.clock.advance(5 * SECOND)

    assert [(world.suite_wecom.corp_id(demo.PARENT), ViewState.ACTIVE)] == await views(replica)


@pytest.mark.slow
async def test_a_code_that_ended_before_it_could_be_sent_is_lost_and_says_so(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.take(replica, world.suite_wecom.install(demo.PARENT))
    await world.clock.advance(21 * MINUTE)

    [view] = await replica.core.suites.overview.list("market")

    assert ViewState.LOST is view.state
    assert "suite_ticket" in view.problem
    assert "install the app again" in view.problem
    assert 0 == world.suite_wecom.count(EXCHANGE)


async def test_a_broker_that_dies_after_sending_loses_the_code_and_nobody_sends_it_again(
    world: ProviderWorld,
) -> None:
    fleet = await world.fleet(3)
    await world.push(fleet[0])
    world.suite_wecom.delay = 2 * SECOND
    await world.take(fleet[1], world.suite_wecom.install(demo.PARENT))
    while not world.suite_wecom.count(EXCHANGE):
        await world.clock.advance(SECOND / 10)
    [holder] = [replica for replica in fleet if replica.core.suites.exchanges.is_sending]

    await holder.crash()
    await world.clock.advance(30 * SECOND)

    survivor = next(replica for replica in fleet if replica is not holder)
    [view] = await survivor.core.suites.overview.list("market")
    assert ViewState.LOST is view.state
    assert "stopped before WeCom's answer was stored" in view.problem
    assert 1 == world.suite_wecom.count(EXCHANGE)


async def test_a_lost_answer_loses_the_code_and_nobody_sends_it_again(world: ProviderWorld) -> None:
    fleet = await world.fleet(2)
    await world.push(fleet[0])
    world.suite_wecom.lose(EXCHANGE)
    await world.take(fleet[0], code := world.suite_wecom.install(demo.PARENT))

    await world.clock.advance(MINUTE)

    assert [("", ViewState.LOST)] == await views(fleet[1])
    assert {code.reveal(): 1} == world.suite_wecom.codes
    [problem] = [problem for replica in fleet for problem in replica.suite_witness.lost]
    assert "answer was lost" in problem


async def test_a_code_that_met_a_limit_is_sent_again_after_its_window(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    world.suite_wecom.fail(EXCHANGE, lambda: RateLimited("WeCom's limit", errcode=45009))
    await world.take(replica, world.suite_wecom.install(demo.PARENT))
    await world.clock.advance(30 * SECOND)
    assert [("", ViewState.PENDING)] == await views(replica)
    assert 1 == world.suite_wecom.count(EXCHANGE)

    world.suite_wecom.recover()
    await world.clock.advance(2 * MINUTE)

    assert [(world.suite_wecom.corp_id(demo.PARENT), ViewState.ACTIVE)] == await views(replica)


def _unread() -> WecomUnavailable:
    error = WecomUnavailable("no connection")
    error.code_unread = True
    return error


async def test_a_code_that_wecom_did_not_read_is_sent_again(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    world.suite_wecom.fail(EXCHANGE, _unread, times=3)

    found = await world.authorize(replica)

    assert found.is_usable
    assert replica.suite_witness.exchanges == ["taken", "taken", "taken", "done"]


async def test_a_dead_suite_token_is_replaced_and_the_code_sent_with_the_new_one(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica)
    await world.authorize(replica)
    token = await replica.engine.get(CredentialKey.suite_token(MARKET))
    assert world.suite_wecom.world.kill(token.value.reveal())

    found = await world.authorize(replica, demo.child(1))

    assert found.is_usable
    assert 2 == world.suite_wecom.count(SUITE_TOKEN)


async def test_a_code_of_another_suite_is_refused_and_shown_as_lost(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    await world.take(replica, world.suite_wecom.install(demo.PARENT, "tailored"))
    await world.clock.advance(5 * SECOND)

    [view] = await replica.core.suites.overview.list("market")

    assert ViewState.LOST is view.state
    assert "40078" in view.problem


async def test_a_code_that_cannot_be_stored_is_not_taken(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    replica.store.cut()

    with pytest.raises(StoreUnavailable):
        await world.take(replica, world.suite_wecom.install(demo.PARENT))

    await world.clock.advance(MINUTE)
    assert 0 == world.suite_wecom.count(EXCHANGE)


async def test_an_answer_that_comes_without_a_store_is_kept_and_stored_later(
    world: ProviderWorld,
) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    world.suite_wecom.delay = 2 * SECOND
    await world.take(first, code := world.suite_wecom.install(demo.PARENT))
    while not world.suite_wecom.count(EXCHANGE):
        await world.clock.advance(SECOND / 10)
    [holder] = [replica for replica in (first, second) if replica.core.suites.exchanges.is_sending]
    other = second if holder is first else first
    holder.store.cut()
    await world.clock.advance(5 * SECOND)
    holder.store.mend()
    await world.clock.advance(MINUTE)

    corp_id = world.suite_wecom.corp_id(demo.PARENT)
    assert [(corp_id, ViewState.ACTIVE)] == await views(other)
    third = await world.start()
    assert [(corp_id, ViewState.ACTIVE)] == await views(third)
    assert {code.reveal(): 1} == world.suite_wecom.codes


async def test_two_codes_of_one_corp_are_one_authorisation_with_the_later_code(world: ProviderWorld) -> None:
    fleet = await world.fleet(3)
    await world.push(fleet[0])
    codes = [world.suite_wecom.install(demo.PARENT) for _ in range(3)]
    world.suite_wecom.delay = SECOND / 2
    for replica, code in zip(fleet, codes, strict=True):
        await world.take(replica, code)
        await world.clock.advance(SECOND / 10)

    await world.clock.advance(MINUTE)

    assert 3 == world.suite_wecom.count(EXCHANGE)
    for replica in fleet:
        [found] = replica.core.authorizations.of("market")
        assert world.suite_wecom.permanent_code(demo.PARENT) == found.permanent_code
        assert codes[-1].digest() == found.code_hash


async def test_a_reset_replaces_the_secret_and_keeps_the_old_one_until_then(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica, TAILORED)
    before = await world.authorize(replica, suite=TAILORED)
    world.suite_wecom.delay = 2 * SECOND
    await world.take(replica, world.suite_wecom.reset(demo.PARENT), TAILORED, is_reset=True)
    await settle()
    assert before.permanent_code == replica.core.authorizations.of("tailored")[0].permanent_code

    await world.clock.advance(30 * SECOND)

    [after] = replica.core.authorizations.of("tailored")
    assert world.suite_wecom.permanent_code(demo.PARENT, "tailored") == after.permanent_code
    assert before.permanent_code != after.permanent_code
    assert before.installed_at == after.installed_at


async def test_a_caller_that_brings_the_code_of_a_redirect_gets_the_authorisation_however_often(
    world: ProviderWorld,
) -> None:
    fleet = await world.fleet(2)
    await world.push(fleet[0])
    code = world.suite_wecom.install(demo.PARENT).reveal()

    first = await world.run(fleet[0].core.suites.overview.complete("market", code, "spring"))
    again = await world.run(fleet[1].core.suites.overview.complete("market", code, "spring"))

    assert ViewState.ACTIVE is first.state
    assert "spring" == first.install_state
    assert first.corp_id == again.corp_id
    assert {code: 1} == world.suite_wecom.codes


async def test_a_caller_that_brings_a_spent_code_is_told(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)

    error = await outcome(world.run(replica.core.suites.overview.complete("market", "x" * 64, "")))

    assert isinstance(error, CodeRejected)


@pytest.mark.slow
async def test_codes_that_callers_make_up_are_few_and_keep_no_push_out(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    complete = replica.core.suites.overview.complete
    for number in range(MOST_OF_CALLERS):
        asyncio.get_running_loop().create_task(outcome(complete("market", f"made-up-{number}", "")))
    await world.clock.advance(10 * MINUTE)
    assert MOST_OF_CALLERS == len(await views(replica))

    refused = await outcome(complete("market", "one-more", ""))
    assert isinstance(refused, CallerLimited)
    assert refused.retry_after
    repeated = await outcome(world.run(complete("market", "made-up-7", "")))
    assert isinstance(repeated, CodeRejected)
    assert AuthorizationState.ACTIVE is (await world.authorize(replica)).state

    await world.clock.jump(KEPT_OF_CALLERS)
    replica.core.installations.forget_ended()
    assert [ViewState.ACTIVE] == [state for _, state in await views(replica)]
    members = await replica.store.members("installations:market", 0, 10 * MOST_OF_CALLERS)
    assert 1 == len(members), "the one of the push"
    assert isinstance(await outcome(world.run(complete("market", "one-more", ""))), CodeRejected)


async def test_a_callers_code_that_became_an_authorisation_is_known_for_as_long_as_a_pushed_one(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica)
    code = world.suite_wecom.install(demo.PARENT)
    await world.run(replica.core.suites.overview.complete("market", code.reveal(), ""))
    await world.clock.jump(2 * KEPT_OF_CALLERS)
    replica.core.installations.forget_ended()

    assert code.digest() in await replica.store.members("installations:market", 0, 10)
    found = await replica.storage.installations.find(("market", code.digest()))
    assert found
    assert InstallationState.DONE is found.state


async def test_the_codes_are_in_the_store_only_while_they_are_needed(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    code = world.suite_wecom.install(demo.PARENT)
    await world.take(replica, code)
    await world.clock.advance(10 * SECOND)

    found = await replica.storage.installations.find(("market", code.digest()))

    assert found is not None
    assert InstallationState.DONE is found.state
    assert found.auth_code is None
    assert Secret("") != code


def _untrusted() -> IpNotTrusted:
    error = IpNotTrusted("not on the list", errcode=60020)
    error.code_unread = True
    return error


async def test_an_exchange_that_does_not_come_about_is_tried_less_and_less_often(
    world: ProviderWorld,
) -> None:
    fleet = await world.fleet(3)
    await world.push(fleet[0])
    world.suite_wecom.fail(EXCHANGE, _untrusted, times=1000)
    await world.take(fleet[0], world.suite_wecom.install(demo.PARENT))

    await world.clock.advance(10 * MINUTE)

    assert world.suite_wecom.count(EXCHANGE) < 3 * 17
    [view] = await fleet[1].core.suites.overview.list("market")
    assert ViewState.PENDING is view.state
    assert "IP_NOT_TRUSTED" in view.problem


async def test_the_details_are_read_at_once_by_the_replica_that_exchanged_the_code(
    world: ProviderWorld,
) -> None:
    fleet = await world.fleet(3)
    await world.push(fleet[0])
    await world.take(fleet[0], world.suite_wecom.install(demo.PARENT))

    await world.clock.advance(2 * SECOND)

    [found] = fleet[2].core.authorizations.of("market")
    assert found.agent_id > 0
    assert not found.is_stale


async def test_whoever_needs_the_agents_of_a_new_authorisation_waits_until_they_are_read(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica)
    await world.run(replica.engine.get(CredentialKey.suite_token(MARKET)))
    world.suite_wecom.delay = SECOND
    await world.take(replica, world.suite_wecom.install(demo.PARENT))
    await world.clock.advance(1.5 * SECOND)
    [found] = replica.core.authorizations.of("market")
    assert () == found.agents

    detailed = await world.run(replica.core.authorizations.detailed(found))

    assert detailed.agent_id > 0


async def test_a_broker_that_stops_sends_what_it_wrote_down_as_sent(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    await world.run(replica.engine.get(CredentialKey.suite_token(MARKET)))
    code = world.suite_wecom.install(demo.PARENT)
    await world.take(replica, code)
    while not [found for found in replica.core.installations.unfinished("market") if found.sent_at]:
        await asyncio.sleep(0)

    closing = asyncio.ensure_future(replica.core.suites.exchanges.close())
    await asyncio.sleep(0)
    if not closing.done():
        await world.run(closing)  # type: ignore[arg-type]
    await replica.close()
    other = await world.start()
    await world.clock.advance(MINUTE)

    assert {code.reveal(): 1} == world.suite_wecom.codes
    [(_, state)] = await views(other)
    assert ViewState.ACTIVE is state


async def test_a_store_that_lost_its_data_lists_again_what_brokers_hold(world: ProviderWorld) -> None:
    first = await world.start()
    await world.push(first)
    found = await world.authorize(first)
    world.shared.lose_data()
    first.store.mend()
    await world.clock.advance(5 * SECOND)

    second = await world.start()
    await world.clock.advance(SECOND)

    assert [found.key] == [known.key for known in second.core.authorizations.of("market")]
