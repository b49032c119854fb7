"""A change of an authorisation: it is read at WeCom, and stays outstanding until all of it is read."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.errors import (
    ApiNotAuthorized,
    BrokerError,
    RateLimited,
    ReauthorizationRequired,
    StoreUnavailable,
    WecomProtocol,
    WecomUnavailable,
)
from broker.domain.events.event import Event
from broker.domain.suites.authorization import Authorization, AuthorizationState
from broker.protocol.callbacks.message import Message, read_message
from broker.simulator import provider_demo as demo
from broker.simulator.callbacks.cdata import document
from broker.simulator.world.suites.authorization import Edition
from broker.usecases.callbacks.attribution import event_of
from tests.kit.memory.engine_world import Replica, outcome
from tests.kit.memory.provider_world import MARKET, SECOND, ProviderWorld
from tests.kit.memory.suite_wecom import AUTH_INFO, CORP_TOKEN, EDITIONS, PERMISSIONS

MINUTE = timedelta(minutes=1)
RAISED = "RLS9002"
"""The edition that the corp has bought."""
DOCUMENTS = "doc:read"
"""The permission that it has given."""


def message(world: ProviderWorld, kind: str, **fields: str) -> Message:
    """Return what WeCom pushes to the suite's URL."""
    at = int(world.clock.now().timestamp())
    return read_message(document(SuiteId=demo.MARKET, InfoType=kind, TimeStamp=at, **fields).encode())


def event(world: ProviderWorld, pushed: Message) -> Event:
    """Return the event that subscribers get of it."""
    return event_of("market", pushed, world.clock.now(), corp_id=pushed.named_corp_id, share_kind=None)


async def push(world: ProviderWorld, replica: Replica, kind: str, **fields: str) -> None:
    """Push a message to a replica, and have it answered."""
    pushed, events = message(world, kind, **fields), replica.core.suites.events
    await world.run(events.before_append(MARKET, pushed))
    events.after_append(MARKET, event(world, pushed))


def change(world: ProviderWorld, corp: str = demo.PARENT) -> None:
    """Have a corp buy another edition and give another permission."""
    authorization = world.suite_wecom.world.suites.active("market", corp)
    authorization.edition = Edition(RAISED, expired_time=2_000_000_000)
    authorization.permissions[DOCUMENTS] = None


def known(replica: Replica, corp_id: str) -> tuple[str, bool]:
    """Return the edition that a replica knows, and whether the corp gave it the permission."""
    found = replica.core.authorizations.get(("market", corp_id))
    assert found
    [agent] = found.agents
    assert agent.edition
    return agent.edition.edition_id, DOCUMENTS in {permission.name for permission in agent.permissions}


async def installed(world: ProviderWorld) -> tuple[Replica, Authorization]:
    """Start a replica, and install the suite in a corp."""
    replica = await world.start()
    await world.push(replica)
    return replica, await world.authorize(replica)


def unavailable() -> BrokerError:
    """Make what a call ends with while WeCom is busy."""
    return WecomUnavailable("busy", errcode=-1)


def limited() -> BrokerError:
    """Make what a call ends with while WeCom limits."""
    return RateLimited("too often", errcode=45009)


# --- one failed call


@pytest.mark.parametrize("error", [unavailable, limited])
@pytest.mark.parametrize("path", [AUTH_INFO, EDITIONS, PERMISSIONS])
async def test_a_change_is_read_although_a_call_fails_once(
    world: ProviderWorld, path: str, error: type[BrokerError]
) -> None:
    replica, found = await installed(world)
    change(world)
    world.suite_wecom.fail(path, error)

    await push(world, replica, "auth_data_permission", AuthCorpId=found.corp_id)
    await world.clock.advance(2 * MINUTE)

    assert (RAISED, True) == known(replica, found.corp_id)
    assert not replica.core.authorizations.of("market")[0].is_stale


async def test_a_change_is_read_although_the_corps_token_cannot_be_fetched_once(world: ProviderWorld) -> None:
    replica, found = await installed(world)
    await world.clock.advance(timedelta(hours=3))
    await world.push(replica)
    change(world)
    world.suite_wecom.fail(CORP_TOKEN, unavailable)

    await push(world, replica, "change_auth", AuthCorpId=found.corp_id)
    await world.clock.advance(MINUTE)

    assert (RAISED, True) == known(replica, found.corp_id)


async def test_a_new_installation_is_read_to_its_end(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    world.suite_wecom.fail(EDITIONS, unavailable)

    found = await world.authorize(replica)

    assert ("RLS9001", False) == known(replica, found.corp_id)


async def test_a_corp_without_agents_waits_for_nothing_that_only_agents_have(world: ProviderWorld) -> None:
    world.suite_wecom.world.suites.get("market").has_agent = False
    world.suite_wecom.fail(EDITIONS, limited, times=1000)
    world.suite_wecom.fail(PERMISSIONS, limited, times=1000)

    _, found = await installed(world)

    assert ((), False) == (found.agents, found.is_stale)


async def test_what_could_be_read_is_known_while_the_rest_is_outstanding(world: ProviderWorld) -> None:
    replica, found = await installed(world)
    change(world)
    world.suite_wecom.fail(PERMISSIONS, limited)

    await push(world, replica, "change_auth", AuthCorpId=found.corp_id)
    await world.clock.advance(SECOND)

    assert (RAISED, False) == known(replica, found.corp_id)
    assert replica.core.authorizations.of("market")[0].is_stale


async def test_another_replica_reads_what_a_killed_one_has_not(world: ProviderWorld) -> None:
    first, found = await installed(world)
    second = await world.start()
    change(world)
    world.suite_wecom.fail(PERMISSIONS, unavailable)
    await push(world, first, "change_auth", AuthCorpId=found.corp_id)
    await world.clock.advance(SECOND)
    await first.crash()

    await world.clock.advance(MINUTE)

    assert (RAISED, True) == known(second, found.corp_id)


@pytest.mark.parametrize("error", [ApiNotAuthorized, WecomProtocol])
@pytest.mark.parametrize("path", [EDITIONS, PERMISSIONS])
async def test_what_waiting_does_not_help_is_asked_once(
    world: ProviderWorld, path: str, error: type[BrokerError]
) -> None:
    replica, found = await installed(world)
    change(world)
    world.suite_wecom.fail(path, lambda: error("no", errcode=48002), times=1000)
    calls = world.suite_wecom.count(path)

    await push(world, replica, "change_auth", AuthCorpId=found.corp_id)
    await world.clock.advance(timedelta(hours=2))

    assert calls + 1 == world.suite_wecom.count(path)
    assert not replica.core.authorizations.of("market")[0].is_stale


async def test_whoever_asks_for_a_reading_gets_what_could_be_read_and_the_rest_is_read_later(
    world: ProviderWorld,
) -> None:
    replica, found = await installed(world)
    change(world)
    world.suite_wecom.fail(PERMISSIONS, limited)

    await world.run(replica.core.suites.overview.refresh("market", found.corp_id))

    assert (RAISED, False) == known(replica, found.corp_id)
    assert is_stale(replica, found.corp_id)
    world.suite_wecom.recover()
    await world.clock.advance(timedelta(hours=2))
    assert (RAISED, True) == known(replica, found.corp_id)


async def test_an_event_that_comes_while_a_refused_corp_is_read_is_not_lost(world: ProviderWorld) -> None:
    replica, found = await installed(world)
    authorizations, events = replica.core.authorizations, replica.core.suites.events
    await authorizations.refuse(found, ReauthorizationRequired("refused", errcode=40084))
    world.suite_wecom.delay = SECOND
    calls = world.suite_wecom.count(AUTH_INFO)
    await push(world, replica, "change_auth", AuthCorpId=found.corp_id)
    await world.clock.advance(SECOND / 2)
    assert calls + 1 == world.suite_wecom.count(AUTH_INFO)

    await events.before_append(MARKET, message(world, "change_auth", AuthCorpId=found.corp_id))
    await world.clock.advance(MINUTE)

    [kept] = authorizations.of("market")
    assert (True, False) == (kept.is_usable, kept.is_stale)
    assert calls + 2 == world.suite_wecom.count(AUTH_INFO)


# --- what it costs while WeCom limits


async def test_while_wecom_limits_a_corp_is_tried_when_the_limit_ends_and_not_before(
    world: ProviderWorld,
) -> None:
    replica, found = await installed(world)
    world.randomness.throw = -1
    world.suite_wecom.fail(PERMISSIONS, limited, times=1000)
    before = len(world.suite_wecom.calls)

    await push(world, replica, "change_auth", AuthCorpId=found.corp_id)
    await world.clock.advance(timedelta(hours=1))

    # A limit is believed for a minute, then for two, four … (`RETRY_RULES`).
    asked = world.suite_wecom.calls[before:]
    assert 2 <= asked.count(PERMISSIONS) <= 6
    assert asked.count(AUTH_INFO) == asked.count(PERMISSIONS)


async def test_what_stays_outstanding_is_written_once(world: ProviderWorld) -> None:
    replica, found = await installed(world)
    change(world)
    world.suite_wecom.fail(PERMISSIONS, unavailable, times=1000)
    await push(world, replica, "change_auth", AuthCorpId=found.corp_id)
    await world.clock.advance(MINUTE)
    [written] = replica.core.authorizations.of("market")
    asked = world.suite_wecom.count(AUTH_INFO)

    await world.clock.advance(10 * MINUTE)

    assert asked < world.suite_wecom.count(AUTH_INFO)
    assert [written] == replica.core.authorizations.of("market")


# --- a change of edition


async def family(world: ProviderWorld, replica: Replica, *, with_parent: bool = True) -> list[str]:
    """Install the suite in two children of a corp, perhaps in the corp before; return all their ids."""
    parents, children = [demo.PARENT] if with_parent else [], [demo.child(1), demo.child(2)]
    for corp in parents:
        await world.authorize(replica, corp)
    for corp in children:
        await world.authorize(replica, corp, parent=demo.PARENT)
    for corp in (*parents, *children):
        change(world, corp)
    return [world.suite_wecom.corp_id(corp) for corp in (*parents, *children)]


def editions(replica: Replica, corp_ids: list[str]) -> set[str]:
    """Return the editions that a replica knows."""
    return {known(replica, corp_id)[0] for corp_id in corp_ids}


@pytest.mark.parametrize("kind", ["change_editon", "change_edition"])
async def test_a_change_of_edition_is_read_for_whoever_paid_and_its_children(
    world: ProviderWorld, kind: str
) -> None:
    replica = await world.start()
    await world.push(replica)
    corp_ids = await family(world, replica)
    await world.authorize(replica, demo.child(3))
    calls = world.suite_wecom.count(AUTH_INFO)

    await push(world, replica, kind, PaidCorpId=corp_ids[0])
    await world.clock.advance(MINUTE)

    assert {RAISED} == editions(replica, corp_ids)
    assert calls + len(corp_ids) == world.suite_wecom.count(AUTH_INFO)
    assert not [found for found in replica.core.authorizations.of("market") if found.is_stale]


async def test_a_change_of_edition_is_written_down_before_the_answer(world: ProviderWorld) -> None:
    first = await world.start()
    await world.push(first)
    corp_ids = await family(world, first)
    second = await world.start()
    await first.core.suites.events.before_append(
        MARKET, message(world, "change_editon", PaidCorpId=corp_ids[0])
    )
    await first.crash()

    await world.clock.advance(2 * MINUTE)

    assert {RAISED} == editions(second, corp_ids)


async def test_a_change_of_edition_that_cannot_be_written_down_must_be_pushed_again(
    world: ProviderWorld,
) -> None:
    replica, found = await installed(world)
    replica.store.cut()
    pushed = message(world, "change_editon", PaidCorpId=found.corp_id)

    assert isinstance(
        await outcome(replica.core.suites.events.before_append(MARKET, pushed)), StoreUnavailable
    )


async def test_a_change_of_edition_that_names_nobody_is_passed_on_and_changes_nothing(
    world: ProviderWorld,
) -> None:
    replica, found = await installed(world)

    await push(world, replica, "change_editon")

    assert not is_stale(replica, found.corp_id)


def is_stale(replica: Replica, corp_id: str) -> bool:
    """Return whether a corp is still to be read."""
    found = replica.core.authorizations.get(("market", corp_id))
    return found is not None and found.is_stale


async def cut_once_stale(replica: Replica, corp_id: str) -> None:
    """Cut the store off as soon as the corp is marked."""
    async with aclosing(replica.core.authorizations.watch("market")) as changes:
        async for _ in changes:
            if is_stale(replica, corp_id):
                replica.store.cut()
                return


@pytest.mark.parametrize("with_parent", [True, False], ids=["the payer is known", "the payer is unknown"])
async def test_a_store_that_fails_between_two_children_loses_none(
    world: ProviderWorld, *, with_parent: bool
) -> None:
    replica = await world.start()
    await world.push(replica)
    corp_ids = await family(world, replica, with_parent=with_parent)
    first, last = sorted(corp_ids[-2:])
    cutting = asyncio.create_task(cut_once_stale(replica, first))

    await push(world, replica, "change_editon", PaidCorpId=world.suite_wecom.corp_id(demo.PARENT))
    await world.clock.advance(MINUTE)
    await cutting
    assert (True, False) == (is_stale(replica, first), is_stale(replica, last))
    replica.store.mend()
    await world.clock.advance(5 * MINUTE)

    assert {RAISED} == editions(replica, corp_ids)


async def test_the_children_of_a_corp_that_wecom_refuses_are_read_all_the_same(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    corp_ids = await family(world, replica)
    world.suite_wecom.cancel(demo.PARENT)

    await push(world, replica, "change_editon", PaidCorpId=corp_ids[0])
    await world.clock.advance(MINUTE)

    parent = replica.core.authorizations.get(("market", corp_ids[0]))
    assert parent
    assert AuthorizationState.REAUTHORIZATION_REQUIRED is parent.state
    assert {RAISED} == editions(replica, corp_ids[1:])


async def test_a_refusal_does_not_end_what_the_children_wait_for(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    corp_ids = await family(world, replica)
    authorizations, key = replica.core.authorizations, ("market", corp_ids[0])
    await authorizations.mark_stale(key, with_children=True)
    marked = authorizations.get(key)
    assert marked

    await authorizations.refuse(marked, ReauthorizationRequired("refused", errcode=40084))

    refused = authorizations.get(key)
    assert refused
    assert (True, True) == (refused.is_stale, refused.are_children_stale)


async def test_the_children_wait_on_when_an_older_permanent_code_gives_way_to_a_newer_one(
    world: ProviderWorld,
) -> None:
    _, cut_off = await installed(world)
    cut_off = replace(cut_off, code_fence=cut_off.fence + 1)
    marked = replace(cut_off, fence=cut_off.fence + 2, code_fence=0, is_stale=True, are_children_stale=True)

    kept = cut_off.reconciled(marked)

    assert (cut_off.code_fence, True) == (kept.code_fence, kept.are_children_stale)
