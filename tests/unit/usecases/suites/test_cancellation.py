"""A corp that cancels: nothing of it is served any more, and nothing is left but the fact."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from broker.domain.credentials import CORP_KINDS, CredentialKey
from broker.domain.errors import CorpNotAuthorized, StoreUnavailable
from broker.domain.people.sessions import Session
from broker.domain.ports.store import Lease, Record
from broker.domain.secret import Secret
from broker.domain.suites.authorization import Authorization, AuthorizationState
from broker.simulator import provider_demo as demo
from tests.kit.memory.engine_world import Replica, outcome
from tests.kit.memory.provider_world import MARKET, SECOND, ProviderWorld
from tests.kit.memory.suite_wecom import AUTH_INFO, CORP_TOKEN, EXCHANGE

MINUTE = timedelta(minutes=1)


def keys_of(found: Authorization) -> list[CredentialKey]:
    """Return the keys of the corp's credentials."""
    token = CredentialKey(found.suite, found.corp_id, found.agent_id)
    return [token.of_kind(kind) for kind in CORP_KINDS]


async def cancel(world: ProviderWorld, replica: Replica, corp_id: str) -> None:
    """Tell a replica that the corp cancelled, as cancel_auth does."""
    cancellation = replica.core.suites.cancellation
    await cancellation.cancel(MARKET, corp_id, world.clock.now())
    replica.core.suites.rereading.start(("market", corp_id))


async def test_tokens_tickets_and_sessions_are_gone_everywhere_within_a_second(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    found = await world.authorize(first)
    for replica in (first, second):
        for key in keys_of(found):
            await world.run(replica.engine.get(key))
    session = Session(
        "s1", "market", found.corp_id, "u", "", False, Secret("key"), world.clock.now() + MINUTE
    )
    await first.storage.sessions.offer(session)
    await first.storage.groups.enlist(
        Session.group_of("market", found.corp_id), "s1", world.clock.now() + MINUTE
    )
    await world.clock.advance(SECOND)

    world.suite_wecom.cancel(demo.PARENT)
    await cancel(world, first, found.corp_id)
    await world.clock.advance(SECOND)

    for replica in (first, second):
        assert not [key for key in keys_of(found) if replica.memory.find(key)]
        error = await outcome(replica.core.authorizations.find(MARKET, found.corp_id))
        assert isinstance(error, CorpNotAuthorized)
        assert "cancelled" in error.message
    stored = await first.storage.credentials.load(keys_of(found))
    assert [None, None, None] == [kept.value for kept in stored.values()]
    assert await first.storage.sessions.find("s1") is None
    [kept] = second.core.authorizations.of("market")
    assert AuthorizationState.CANCELLED is kept.state
    assert kept.permanent_code is None
    assert ("", "", "") == (kept.corp_name, kept.installer_user_id, kept.install_state)

    await world.clock.advance(MINUTE)

    [kept] = second.core.authorizations.of("market")
    assert () == kept.agents
    assert not kept.is_stale


async def test_whoever_watches_a_token_is_told_that_the_corp_is_gone(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    found = await world.authorize(first)
    watches = [replica.engine.watch(keys_of(found)[0]) for replica in (first, second)]
    for watch in watches:
        assert (await world.run(anext(watch))).value

    await cancel(world, first, found.corp_id)

    for watch in watches:
        assert isinstance(await world.run(outcome(anext(watch))), CorpNotAuthorized)


async def test_a_token_that_was_being_fetched_is_not_kept(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    found = await world.authorize(first)
    [token, *_] = keys_of(found)
    await world.clock.advance(timedelta(hours=1, minutes=50))
    await world.push(first)
    await world.run(first.engine.get(CredentialKey.suite_token(MARKET), timedelta(minutes=20)))
    world.suite_wecom.delay = 3 * SECOND
    calls = world.suite_wecom.count(CORP_TOKEN)
    first.engine.renew_ahead(token)
    await world.clock.advance(SECOND)
    assert calls + 1 == world.suite_wecom.count(CORP_TOKEN)

    await cancel(world, second, found.corp_id)
    await world.clock.advance(MINUTE)

    assert first.memory.find(token) is None or first.memory.get(token) is None
    assert await first.storage.credentials.find(token) is None


async def test_a_late_cancel_of_an_earlier_installation_only_reads_again(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    cancelled_at = world.clock.now()
    await world.clock.advance(MINUTE)
    found = await world.authorize(replica)

    await replica.core.suites.cancellation.cancel(MARKET, found.corp_id, cancelled_at)
    assert replica.core.authorizations.of("market")[0].is_stale
    replica.core.suites.rereading.start(found.key)
    await world.clock.advance(10 * SECOND)

    [kept] = replica.core.authorizations.of("market")
    assert kept.is_usable
    assert not kept.is_stale


async def test_a_corp_that_comes_back_works_again(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    found = await world.authorize(first)
    await world.run(first.engine.get(keys_of(found)[0]))
    world.suite_wecom.cancel(demo.PARENT)
    await cancel(world, first, found.corp_id)
    await world.clock.advance(5 * SECOND)

    again = await world.authorize(second)

    assert found.corp_id == again.corp_id
    assert found.permanent_code != again.permanent_code
    for replica in (first, second):
        assert (await world.run(replica.engine.get(keys_of(again)[0]))).value
    await world.clock.advance(MINUTE)
    assert (await world.run(first.engine.get(keys_of(again)[0]))).value


async def test_a_cancel_that_cannot_be_stored_must_be_pushed_again(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    replica.store.cut()

    error = await outcome(replica.core.suites.cancellation.cancel(MARKET, found.corp_id, world.clock.now()))

    assert isinstance(error, StoreUnavailable)


async def test_what_must_be_durable_is_not_held_in_memory_alone(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)

    def cancel(present: Authorization | None) -> Authorization | None:
        replica.store.cut()  # between the lease and the commit
        return replace(present or found, state=AuthorizationState.CANCELLED, permanent_code=None)

    change = replica.core.authorizations.change(found.key, cancel, allow_offline=False)

    assert isinstance(await outcome(change), StoreUnavailable)
    assert replica.core.authorizations.of("market")[0].is_usable


async def test_another_replica_cleans_up_when_the_one_that_was_told_dies(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    found = await world.authorize(first)
    [token, *_] = keys_of(found)
    await world.run(first.engine.get(token))
    await first.core.suites.cancellation.cancel(MARKET, found.corp_id, world.clock.now())
    await first.crash()

    await world.clock.advance(MINUTE)

    assert await second.storage.credentials.find(token) is None
    assert not second.core.authorizations.of("market")[0].is_stale


async def test_a_cancel_that_comes_before_the_answer_to_the_code_is_not_forgotten(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica)
    world.suite_wecom.delay = 2 * SECOND
    await world.take(replica, world.suite_wecom.install(demo.PARENT))
    while not world.suite_wecom.count(EXCHANGE):
        await world.clock.advance(SECOND / 10)
    world.suite_wecom.on_call = lambda path: (
        world.suite_wecom.cancel(demo.PARENT) if path == AUTH_INFO else None
    )

    await cancel(world, replica, world.suite_wecom.corp_id(demo.PARENT))
    await world.clock.advance(MINUTE)

    [found] = replica.core.authorizations.of("market")
    assert AuthorizationState.CANCELLED is found.state


async def test_a_cancel_ends_an_installation_although_the_fleets_clock_is_ahead(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    for replica in (first, second):
        replica.clock.skew = 10 * MINUTE
    code = world.suite_wecom.install(demo.PARENT)
    view = await world.run(first.core.suites.overview.complete("market", code.reveal(), ""))
    await world.clock.advance(5 * SECOND)
    [token, *_] = keys_of(first.core.authorizations.of("market")[0])
    await world.run(second.engine.get(token))
    world.suite_wecom.cancel(demo.PARENT)

    await cancel(world, first, view.corp_id)
    await world.clock.advance(SECOND)

    for replica in (first, second):
        [found] = replica.core.authorizations.of("market")
        assert AuthorizationState.CANCELLED is found.state
        assert replica.memory.get(token) is None


async def test_a_code_taken_first_and_exchanged_last_does_not_move_the_installation_back(
    world: ProviderWorld,
) -> None:
    replica = await world.start()
    await world.push(replica)
    early, late = world.suite_wecom.install(demo.PARENT), world.suite_wecom.install(demo.PARENT)
    exchanges = replica.core.suites.exchanges
    now = world.clock.now()
    await exchanges.take(MARKET, late, now)
    await world.clock.advance(5 * SECOND)
    await exchanges.take(MARKET, early, now - MINUTE)
    await world.clock.advance(5 * SECOND)

    await replica.core.suites.cancellation.cancel(
        MARKET, world.suite_wecom.corp_id(demo.PARENT), now - MINUTE / 2
    )
    await world.clock.advance(10 * SECOND)

    [found] = replica.core.authorizations.of("market")
    assert found.is_usable


async def test_a_corp_that_comes_back_is_read_at_once(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    await world.clock.advance(2 * SECOND)
    world.suite_wecom.cancel(demo.PARENT)
    await cancel(world, replica, found.corp_id)
    await world.clock.advance(2 * SECOND)

    await world.take(replica, world.suite_wecom.install(demo.PARENT))
    await world.clock.advance(SECOND)

    [found] = replica.core.authorizations.of("market")
    assert found.is_usable
    assert not found.is_stale


async def test_nothing_is_left_a_month_after_a_corp_cancelled(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    found = await world.authorize(first)
    world.suite_wecom.cancel(demo.PARENT)
    await cancel(world, first, found.corp_id)
    await world.clock.advance(MINUTE)

    await world.clock.jump(timedelta(days=31))
    await world.clock.advance(10 * MINUTE)

    assert [] == await first.storage.groups.members("authorizations:market", 0, 10)
    for replica in (first, second):
        assert [] == replica.core.authorizations.of("market")
        assert [] == [*replica.core.installations.held()]


async def test_a_corp_that_comes_back_when_its_record_ends_stays_listed(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    world.suite_wecom.cancel(demo.PARENT)
    await cancel(world, replica, found.corp_id)
    await world.clock.advance(MINUTE)
    await world.clock.jump(timedelta(days=31))
    await world.push(replica)

    await world.authorize(replica)
    await world.clock.advance(20 * MINUTE)

    assert [found.corp_id] == await replica.storage.groups.members("authorizations:market", 0, 10)


async def test_a_token_that_is_being_written_when_the_corp_cancels_is_not_held(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    found = await world.authorize(first)
    [token, *_] = keys_of(found)
    await world.clock.advance(timedelta(hours=2, minutes=1))
    await world.push(first)
    commit = first.store.commit

    async def commit_while_the_corp_cancels(record: Record, lease: Lease) -> bool:
        if record.name == token.name:
            await second.core.suites.cancellation.cancel(MARKET, found.corp_id, world.clock.now())
            while first.core.authorizations.of("market")[0].permanent_code:
                await asyncio.sleep(0)
        return await commit(record, lease)

    first.store.commit = commit_while_the_corp_cancels  # type: ignore[method-assign]
    await outcome(world.run(first.engine.get(token)))

    assert AuthorizationState.CANCELLED is first.core.authorizations.of("market")[0].state
    assert first.memory.get(token) is None
