"""Shares of suites: each parent's own, listed with its token, after its events and by the clock."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from broker.domain.apps import App
from broker.domain.credentials import CredentialKey
from broker.domain.errors import CorpNotAuthorized, InvalidRequest, UnknownApp
from broker.domain.events.event import Event
from broker.domain.ports.store import Notice, NoticeKind
from broker.domain.shares import AppShare, ListingKey, ShareChanges
from broker.domain.suites.authorization import AuthorizationState
from broker.domain.suites.installation import CODE_LIFETIME
from broker.usecases.callbacks.suite_corps import SuiteCorps
from broker.usecases.shares.reconciling import AT_ONCE, LOOK
from broker.usecases.shares.relisting import LONGEST_REST, SETTLED
from tests.kit.memory.engine_world import CRM, Replica
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.fake_suites import (
    CHAIN,
    GROUP,
    MARKET,
    OTHER_PARENT,
    PARENT,
    TAILORED,
    FakeSuiteWorld,
    authorization,
)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SYNC = timedelta(seconds=600)
CHILD, OTHER_CHILD = AppShare(GROUP, "wpChild", 7), AppShare(GROUP, "wpOtherChild", 8)
SUPPLIER = AppShare(CHAIN, "wpSupplier", 9)
SHARED_TOKEN = CredentialKey("tailored", "wpChild", 7, GROUP, parent_corp_id=PARENT)


@pytest.fixture
async def world() -> AsyncIterator[FakeSuiteWorld]:
    async with FakeSuiteWorld() as world:
        world.authorize(
            authorization(TAILORED),
            authorization(TAILORED, OTHER_PARENT, 1000020),
            authorization(MARKET),
        )
        yield world


@pytest.fixture
async def fleet(world: FakeSuiteWorld) -> list[Replica]:
    replicas = await world.fleet(3)
    for replica in replicas:
        await world.give_corp_tokens(replica)
    return replicas


async def app_of(replica: Replica, corp_id: str = PARENT, suite: str = "tailored") -> App:
    return await replica.sharing.parents.named(suite, corp_id)


async def hear(world: FakeSuiteWorld, replica: Replica, listing: ListingKey) -> None:
    """Let an event about shares come, and everybody hear of it."""
    milliseconds = int(world.clock.now().timestamp() * 1000)
    replica.store._publish(Notice(NoticeKind.APPENDED, listing.name, milliseconds))
    await settle()


def listed(world: FakeSuiteWorld) -> list[tuple[str, object]]:
    return [(listing.corp_id, listing.share_kind) for listing in world.shares.listings]


# --- whose shares


async def test_each_parent_has_shares_of_its_own_listed_with_its_token(
    world: FakeSuiteWorld, fleet: list[Replica]
) -> None:
    world.shares.by_parent = {PARENT: [CHILD, SUPPLIER], OTHER_PARENT: [OTHER_CHILD]}

    assert [CHILD, SUPPLIER] == await world.run(fleet[0].shares.all(await app_of(fleet[0])))
    assert [OTHER_CHILD] == await world.run(fleet[0].shares.all(await app_of(fleet[0], OTHER_PARENT)))
    assert {(PARENT, 1000010), (OTHER_PARENT, 1000020)} == {
        (listing.corp_id, listing.agent_id) for listing in world.shares.listings
    }


async def test_the_fleet_lists_a_parents_shares_once(world: FakeSuiteWorld, fleet: list[Replica]) -> None:
    world.shares.by_parent = {PARENT: [CHILD]}
    app = await app_of(fleet[0], suite="market")
    await world.gather(*(replica.shares.all(app) for replica in fleet))

    assert [(PARENT, GROUP)] == listed(world)


async def test_the_corp_that_shares_must_be_named_for_a_suite(fleet: list[Replica]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await app_of(fleet[0], "")
    assert "parent_corp_id" == refused.value.metadata["field"]


@pytest.mark.parametrize("corp_id", ["", CRM.corp_id])
async def test_a_self_built_app_has_one_corp_that_shares_it(fleet: list[Replica], corp_id: str) -> None:
    assert CRM == await app_of(fleet[0], corp_id, "crm")


async def test_another_corp_cannot_share_a_self_built_app(fleet: list[Replica]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await app_of(fleet[0], PARENT, "crm")
    assert "parent_corp_id" == refused.value.metadata["field"]


async def test_a_corp_without_an_authorisation_shares_nothing(fleet: list[Replica]) -> None:
    with pytest.raises(CorpNotAuthorized):
        await app_of(fleet[0], "wpStranger")


@pytest.mark.parametrize(("name", "error"), [("acme", InvalidRequest), ("nobody", UnknownApp)])
async def test_what_is_no_app_has_no_shares(fleet: list[Replica], name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await app_of(fleet[0], PARENT, name)


async def test_a_corp_found_to_share_is_known_from_then_on(
    world: FakeSuiteWorld, fleet: list[Replica]
) -> None:
    world.shares.by_parent = {PARENT: [CHILD]}
    await world.run(fleet[0].lister.sync(await app_of(fleet[0])))
    await world.run(fleet[0].lister.sync(await app_of(fleet[0], OTHER_PARENT)))

    sharing = [found.corp_id for found in world.authorizations.of("tailored") if found.shares]
    assert [PARENT] == sharing


# --- events


async def test_an_event_lists_that_parents_shares_of_that_kind_once(
    world: FakeSuiteWorld, fleet: list[Replica], clock: FakeClock
) -> None:
    await hear(world, fleet[0], ListingKey("tailored", CHAIN, PARENT))
    await clock.advance(SECOND)

    assert [(PARENT, CHAIN)] == listed(world)


@pytest.mark.parametrize(
    "listing",
    [
        ListingKey("market", CHAIN, PARENT),
        ListingKey("market", GROUP),
        ListingKey("nobody", GROUP, PARENT),
        ListingKey("crm", GROUP, PARENT),
    ],
)
async def test_what_is_not_configured_is_not_listed(
    world: FakeSuiteWorld, fleet: list[Replica], clock: FakeClock, listing: ListingKey
) -> None:
    await hear(world, fleet[0], listing)
    await clock.advance(SECOND)

    assert [] == world.shares.listings
    assert 0 == world.wecom.count()


async def test_an_ended_share_ends_its_childs_token_and_reaches_the_parents_watchers_alone(
    world: FakeSuiteWorld, fleet: list[Replica], clock: FakeClock
) -> None:
    world.shares.by_parent = {PARENT: [CHILD], OTHER_PARENT: [OTHER_CHILD]}
    parent, other = await app_of(fleet[0]), await app_of(fleet[0], OTHER_PARENT)
    for replica in fleet:
        await world.run(replica.shares.all(parent))
        await world.run(replica.shares.all(other))
        await world.give_tokens(replica, [SHARED_TOKEN])
    async with (
        aclosing(fleet[1].shares.watch(parent)) as changes,
        aclosing(fleet[1].shares.watch(other)) as elsewhere,
    ):
        assert ShareChanges((CHILD,)) == await anext(changes)
        assert ShareChanges((OTHER_CHILD,)) == await anext(elsewhere)
        world.shares.by_parent[PARENT] = []
        await clock.advance(MINUTE)
        await hear(world, fleet[0], ListingKey("tailored", GROUP, PARENT))
        await clock.advance(SECOND)

        assert ShareChanges(removed=(CHILD,)) == await anext(changes)
        assert [None] * 3 == [replica.memory.find(SHARED_TOKEN) for replica in fleet]
        assert [[OTHER_CHILD]] * 3 == [replica.shares.known(other, "wpOtherChild", None) for replica in fleet]


async def test_a_share_told_before_the_parents_code_is_exchanged_is_listed_afterwards(
    world: FakeSuiteWorld, fleet: list[Replica], clock: FakeClock
) -> None:
    await hear(world, fleet[0], ListingKey("tailored", GROUP, "wpNew"))
    await clock.advance(20 * SECOND)
    assert [] == world.shares.listings

    world.authorize(authorization(TAILORED, "wpNew"))
    for replica in fleet:
        await world.give_corp_tokens(replica)
        replica.witness.failures.clear()
    await clock.advance(LONGEST_REST + SECOND)
    assert [("wpNew", GROUP)] == listed(world)


async def test_the_shares_of_a_corp_that_cancelled_are_not_asked_for_for_ever(
    world: FakeSuiteWorld, fleet: list[Replica], clock: FakeClock
) -> None:
    world.authorizations.end(TAILORED, PARENT, AuthorizationState.CANCELLED)
    await hear(world, fleet[0], ListingKey("tailored", GROUP, PARENT))
    await clock.advance(CODE_LIFETIME + LONGEST_REST + SECOND)

    assert [] == world.shares.listings
    assert not any(replica.renewal._expected for replica in fleet)
    for replica in fleet:
        assert 1 == len(replica.witness.failures)
        replica.witness.failures.clear()


# --- the clock


async def reconcile(replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.tasks.keep_running("reconciling shares", replica.sharing.reconciliation.run)
    await settle()


async def test_nothing_is_listed_of_corps_that_are_not_known_to_share(
    world: FakeSuiteWorld, fleet: list[Replica], clock: FakeClock
) -> None:
    await reconcile(fleet)
    await clock.advance(3 * SYNC)

    assert [] == world.shares.listings


@pytest.mark.slow
async def test_thousands_of_parents_are_listed_over_the_interval_not_at_the_start(
    world: FakeSuiteWorld, clock: FakeClock
) -> None:
    corps = [f"wp{number}" for number in range(2000)]
    world.authorize(*(authorization(MARKET, corp) for corp in corps))
    for corp in corps:
        await world.authorizations.mark_sharing(("market", corp))
    replica = await world.start()
    await world.give_corp_tokens(replica)
    await reconcile([replica])
    await clock.advance(SECOND)
    assert [] == world.shares.listings

    await clock.advance(SYNC + LOOK)
    assert set(corps) == {listing.corp_id for listing in world.shares.listings}
    in_steps = [
        sum(start <= listing.at < start + LOOK for listing in world.shares.listings)
        for start in (world.shares.listings[0].at + step * LOOK for step in range(20))
    ]
    assert max(in_steps) < 2 * len(corps) / 20


async def test_a_replica_that_starts_takes_the_fleets_listings(
    world: FakeSuiteWorld, fleet: list[Replica], clock: FakeClock
) -> None:
    world.shares.by_parent = {PARENT: [CHILD]}
    app = await app_of(fleet[0], suite="market")
    await world.run(fleet[0].shares.all(app))
    late = await world.start()
    await reconcile([late])
    await clock.advance(SYNC - 2 * LOOK)

    assert [CHILD] == late.shares.known(app, CHILD.corp_id, None)
    assert [(PARENT, GROUP)] == listed(world)


async def test_a_parent_in_use_is_listed_again_and_one_that_cancelled_is_not(
    world: FakeSuiteWorld, fleet: list[Replica], clock: FakeClock
) -> None:
    world.shares.by_parent = {PARENT: [CHILD]}
    await world.run(fleet[0].shares.all(await app_of(fleet[0], suite="market")))
    await reconcile(fleet)
    await clock.advance(SYNC + LOOK + SECOND)
    assert 2 == len(listed(world))

    world.authorizations.end(MARKET, PARENT, AuthorizationState.CANCELLED)
    await clock.advance(2 * SYNC)
    assert 2 == len(listed(world))


async def test_after_the_store_was_away_parents_are_listed_one_after_the_other(
    world: FakeSuiteWorld, clock: FakeClock
) -> None:
    world.called_back.add("market")
    corps = [f"wp{number}" for number in range(3 * AT_ONCE)]
    world.authorize(*(authorization(MARKET, corp) for corp in corps))
    replica = await world.start()
    await world.give_corp_tokens(replica)
    for corp in corps:
        await world.run(replica.shares.all(await app_of(replica, corp, "market")))
    await clock.advance(MINUTE)
    world.shares.listings.clear()
    world.shares.delay = SECOND

    replica.store.cut()
    await clock.advance(10 * SECOND)
    replica.store.mend()
    await clock.advance(SETTLED + (len(corps) + 2) * SECOND)

    assert sorted(corps) == sorted(listing.corp_id for listing in world.shares.listings)
    assert 1 == world.shares.most_at_once


# --- what the callbacks of suites bring about


def share_event(corp_id: str, event_type: str = "share_agent_change", suite: str = "market") -> Event:
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    return Event(suite, corp_id, None, 0, "", event_type, "", now, now, {}, "")


async def test_a_share_event_is_published_to_every_replica_by_its_parent(
    world: FakeSuiteWorld, fleet: list[Replica]
) -> None:
    corps = SuiteCorps(MARKET, cast("Any", None), fleet[0].clock)

    assert [f"shares:market:corp_group:{PARENT}"] == corps.listings(share_event(PARENT))
    assert [] == corps.listings(share_event(PARENT, "share_chain_change"))
    assert [] == corps.listings(share_event(PARENT, "change_auth"))
    assert [] == corps.listings(share_event(""))


async def test_a_share_event_of_a_corp_whose_code_is_not_exchanged_yet_is_not_lost(
    world: FakeSuiteWorld, fleet: list[Replica], clock: FakeClock
) -> None:
    event = replace(share_event("wpNew"), receive_time=clock.now())
    fleet[0].core.suites.events.after_append(MARKET, event)
    await clock.advance(5 * SECOND)
    world.authorize(authorization(MARKET, "wpNew"))
    await world.give_corp_tokens(fleet[0])
    fleet[0].witness.failures.clear()
    await clock.advance(LONGEST_REST)

    assert [("wpNew", GROUP)] == listed(world)
