"""From a target of a suite or a provider to a credential: its own, a corp's, or a child's."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.apps import Target
from broker.domain.credentials import CredentialKey
from broker.domain.errors import (
    AmbiguousTarget,
    AppNotShared,
    BrokerError,
    CorpNotAuthorized,
    InvalidRequest,
    ReauthorizationRequired,
    UnknownApp,
    WecomUnavailable,
)
from broker.domain.shares import AppShare
from broker.domain.suites.authorization import AuthorizationState
from broker.domain.suites.suite import Suite
from broker.usecases.shares.children import FEW
from tests.kit.memory.engine_world import OWN, OWN_TARGET, Replica
from tests.kit.memory.fake_suites import (
    ACME,
    CHAIN,
    CORP,
    GROUP,
    MARKET,
    OTHER_PARENT,
    PARENT,
    TAILORED,
    FakeSuiteWorld,
    authorization,
)

CHILD = AppShare(GROUP, "wpChild", 7)
CHILD_TARGET = Target("tailored", "wpChild")
CHILD_TOKEN = CredentialKey("tailored", "wpChild", 7, GROUP, parent_corp_id=PARENT)


@pytest.fixture
async def world() -> AsyncIterator[FakeSuiteWorld]:
    async with FakeSuiteWorld() as world:
        world.authorize(
            authorization(TAILORED),
            authorization(TAILORED, OTHER_PARENT, 1000020),
            authorization(MARKET),
            authorization(MARKET, CORP, 1000030, 1000031),
        )
        yield world


@pytest.fixture
async def replica(world: FakeSuiteWorld) -> Replica:
    replica = await world.start()
    await world.give_corp_tokens(replica)
    return replica


async def located(world: FakeSuiteWorld, replica: Replica, target: Target) -> CredentialKey:
    return await world.run(replica.targets.locate(target))


async def refused(world: FakeSuiteWorld, replica: Replica, target: Target) -> tuple[type, str]:
    """Return the kind of the error, and the field that it names."""
    with pytest.raises(BrokerError) as error:
        await world.run(replica.targets.locate(target))
    return type(error.value), error.value.metadata.get("field", "")


async def share(
    world: FakeSuiteWorld, replica: Replica, parent: str, *shares: AppShare, kinds: bool = True
) -> None:
    """Let a parent share the app, and the replica know of it."""
    world.shares.by_parent[parent] = list(shares)
    await world.authorizations.mark_sharing(("tailored", parent))
    if kinds:
        await world.run(replica.lister.sync(await replica.sharing.parents.named("tailored", parent)))


# --- the suite, the provider, and corps


async def test_a_suite_without_a_corp_is_the_suite_itself(world: FakeSuiteWorld, replica: Replica) -> None:
    assert CredentialKey.suite_token(MARKET) == await located(world, replica, Target("market"))


@pytest.mark.parametrize("corp_id", ["", ACME.corp_id])
async def test_a_providers_name_is_its_own_token(
    world: FakeSuiteWorld, replica: Replica, corp_id: str
) -> None:
    assert CredentialKey.provider_token(ACME) == await located(world, replica, Target("acme", corp_id))


async def test_a_corp_that_authorised_the_suite_is_meant_by_its_id(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    assert CredentialKey("market", CORP, 1000030) == await located(world, replica, Target("market", CORP))
    second = Target("market", CORP, None, 1000031)
    assert CredentialKey("market", CORP, 1000031) == await located(world, replica, second)


@pytest.mark.parametrize("suite", [MARKET, TAILORED])
async def test_a_corp_that_must_authorise_again_is_refused_until_it_has(
    world: FakeSuiteWorld, replica: Replica, suite: Suite
) -> None:
    target = Target(suite.name, PARENT)
    key = await located(world, replica, target)
    world.authorizations.end(suite, PARENT, AuthorizationState.REAUTHORIZATION_REQUIRED)

    # Its token may be in memory, and WeCom may have ended it.
    assert (ReauthorizationRequired, "") == await refused(world, replica, target)
    with pytest.raises(ReauthorizationRequired):
        await world.run(replica.sharing.parents.named(suite.name, PARENT))
    assert await located(world, replica, Target(suite.name, {MARKET: CORP, TAILORED: OTHER_PARENT}[suite]))

    world.authorizations.put(authorization(suite))
    assert key == await located(world, replica, target)


async def test_an_app_of_the_corp_itself_is_found_as_before(world: FakeSuiteWorld, replica: Replica) -> None:
    assert OWN == await located(world, replica, OWN_TARGET)


@pytest.mark.parametrize(
    ("target", "error", "field"),
    [
        (Target("nobody", CORP), UnknownApp, ""),
        (Target("market", "wpStranger"), CorpNotAuthorized, ""),
        (Target("market", CORP.lower()), CorpNotAuthorized, ""),
        (Target("tailored", "wpStranger"), CorpNotAuthorized, ""),
        (Target("market", CORP, None, 999), InvalidRequest, "target.agent_id"),
        (Target("market", "", None, 1000030), InvalidRequest, "target.agent_id"),
        (Target("acme", CORP), InvalidRequest, "target.corp_id"),
        (Target("acme", "", None, 5), InvalidRequest, "target.agent_id"),
    ],
)
async def test_a_target_that_nobody_has_is_refused(
    world: FakeSuiteWorld, replica: Replica, target: Target, error: type, field: str
) -> None:
    assert (error, field) == await refused(world, replica, target)
    assert [] == world.shares.listings


async def test_what_was_found_is_found_anew_when_the_authorisation_changes(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    target = Target("market", PARENT)
    assert 1000010 == (await located(world, replica, target)).agent_id
    world.authorize(authorization(MARKET, PARENT, 1000099))
    assert 1000099 == (await located(world, replica, target)).agent_id
    world.authorizations.end(MARKET, PARENT, AuthorizationState.CANCELLED)

    assert (CorpNotAuthorized, "") == await refused(world, replica, target)


async def test_a_warm_target_asks_nobody(world: FakeSuiteWorld, replica: Replica) -> None:
    await located(world, replica, Target("market", CORP))
    asked = len(world.authorizations.asked)
    await located(world, replica, Target("market", CORP))

    assert asked == len(world.authorizations.asked)


# --- children of 代开发 apps


async def test_a_child_is_found_in_the_list_of_the_parent_that_shares(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    await share(world, replica, PARENT, CHILD)

    assert CHILD_TOKEN == await located(world, replica, CHILD_TARGET)


async def test_an_unknown_child_is_looked_for_at_the_few_parents_that_share(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    await share(world, replica, PARENT, CHILD, kinds=False)

    assert CHILD_TOKEN == await located(world, replica, CHILD_TARGET)
    assert {PARENT} == {listing.corp_id for listing in world.shares.listings}


async def test_an_unknown_corp_lists_no_more_than_the_cooldown_allows(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    await share(world, replica, PARENT, CHILD)
    before = len(world.shares.listings)
    for _ in range(20):
        assert (CorpNotAuthorized, "") == await refused(world, replica, Target("tailored", "wpStranger"))

    # One for each kind.
    assert len(world.shares.listings) <= before + 2


async def test_of_many_parents_none_is_asked_for_an_unknown_corp(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    for number in range(FEW + 1):
        world.authorize(replace(authorization(TAILORED, f"wp{number}"), shares=True))

    assert (CorpNotAuthorized, "") == await refused(world, replica, Target("tailored", "wpStranger"))
    assert [] == world.shares.listings


async def test_of_many_parents_the_fleets_listings_are_taken(world: FakeSuiteWorld, replica: Replica) -> None:
    for number in range(FEW + 1):
        world.authorize(replace(authorization(TAILORED, f"wp{number}"), shares=True))
    await world.give_corp_tokens(replica)
    await share(world, replica, "wp3", CHILD)
    late = await world.start()

    assert replace(CHILD_TOKEN, parent_corp_id="wp3") == await located(world, late, CHILD_TARGET)
    assert {"wp3"} == {listing.corp_id for listing in world.shares.listings}


async def test_a_corp_that_authorised_the_app_itself_comes_before_a_share(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    await share(world, replica, PARENT, CHILD)
    assert CHILD_TOKEN == await located(world, replica, CHILD_TARGET)
    world.authorize(authorization(TAILORED, "wpChild", 1000050))

    assert CredentialKey("tailored", "wpChild", 1000050) == await located(world, replica, CHILD_TARGET)


@pytest.mark.parametrize("state", [AuthorizationState.REAUTHORIZATION_REQUIRED, AuthorizationState.CANCELLED])
async def test_a_corp_whose_own_authorisation_ended_is_found_in_a_share(
    world: FakeSuiteWorld, replica: Replica, state: AuthorizationState
) -> None:
    world.authorize(authorization(TAILORED, "wpChild", 1000050))
    await share(world, replica, PARENT, CHILD)
    world.authorizations.end(TAILORED, "wpChild", state)

    assert CHILD_TOKEN == await located(world, replica, CHILD_TARGET)


async def test_a_corp_whose_own_agent_is_asked_for_must_authorise_again_though_another_is_shared(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    world.authorize(authorization(TAILORED, "wpChild", 1000050))
    await share(world, replica, PARENT, CHILD)
    world.authorizations.end(TAILORED, "wpChild", AuthorizationState.REAUTHORIZATION_REQUIRED)

    with pytest.raises(ReauthorizationRequired):
        await located(world, replica, CHILD_TARGET._replace(agent_id=1000050))


async def test_a_third_party_suite_has_no_children_without_an_authorisation(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    world.shares.by_parent[PARENT] = [CHILD]
    await world.run(replica.lister.sync(await replica.sharing.parents.named("market", PARENT)))

    assert (CorpNotAuthorized, "") == await refused(world, replica, Target("market", "wpChild"))


async def test_both_kinds_of_share_must_be_told_apart(world: FakeSuiteWorld, replica: Replica) -> None:
    await share(world, replica, PARENT, CHILD, replace(CHILD, share_kind=CHAIN))

    assert (AmbiguousTarget, "target.share_kind") == await refused(world, replica, CHILD_TARGET)
    chain = await located(world, replica, CHILD_TARGET._replace(share_kind=CHAIN))
    assert replace(CHILD_TOKEN, share_kind=CHAIN) == chain


async def test_a_share_of_the_other_kind_is_seen_though_an_event_listed_one_kind_only(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    await share(world, replica, PARENT, CHILD, replace(CHILD, share_kind=CHAIN), kinds=False)
    app = await replica.sharing.parents.named("tailored", PARENT)
    await world.run(replica.lister.list_since(app, GROUP, world.clock.now()))

    assert (AmbiguousTarget, "target.share_kind") == await refused(world, replica, CHILD_TARGET)


async def test_two_parents_of_one_child_are_told_apart_by_the_agent_id(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    await share(world, replica, PARENT, CHILD)
    await share(world, replica, OTHER_PARENT, replace(CHILD, agent_id=8))

    assert (AmbiguousTarget, "target.agent_id") == await refused(world, replica, CHILD_TARGET)
    other = await located(world, replica, CHILD_TARGET._replace(agent_id=8))
    assert CredentialKey("tailored", "wpChild", 8, GROUP, parent_corp_id=OTHER_PARENT) == other
    assert (AppNotShared, "") == await refused(world, replica, CHILD_TARGET._replace(agent_id=9))


@pytest.mark.parametrize("parent", [PARENT, OTHER_PARENT])
async def test_of_several_parents_the_one_that_is_meant_is_found(
    world: FakeSuiteWorld, replica: Replica, parent: str
) -> None:
    await share(world, replica, PARENT, CHILD)
    await share(world, replica, OTHER_PARENT, CHILD)
    world.authorize(authorization(TAILORED, "wpChild", 1000050))

    found = await located(world, replica, CHILD_TARGET._replace(parent_corp_id=parent))

    assert replace(CHILD_TOKEN, parent_corp_id=parent) == found


async def test_the_parent_that_is_meant_is_asked_though_another_is_known_to_share(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    await share(world, replica, OTHER_PARENT, CHILD)
    await share(world, replica, PARENT)
    await world.clock.jump(world.policy.cooldown)
    world.shares.by_parent[PARENT] = [CHILD]

    found = await located(world, replica, CHILD_TARGET._replace(parent_corp_id=PARENT))

    assert CHILD_TOKEN == found


async def test_a_child_goes_with_its_parents_authorisation(world: FakeSuiteWorld, replica: Replica) -> None:
    await share(world, replica, PARENT, CHILD)
    assert CHILD_TOKEN == await located(world, replica, CHILD_TARGET)
    world.authorizations.end(TAILORED, PARENT, AuthorizationState.CANCELLED)

    assert (CorpNotAuthorized, "") == await refused(world, replica, CHILD_TARGET)


async def test_known_children_are_served_while_the_store_is_away(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    await share(world, replica, PARENT, CHILD)
    asked = len(world.authorizations.asked)

    assert CHILD_TOKEN == await located(world, replica, CHILD_TARGET)
    assert asked == len(world.authorizations.asked)


@pytest.mark.parametrize(
    ("trouble", "error"), [(WecomUnavailable("busy"), WecomUnavailable), (None, CorpNotAuthorized)]
)
async def test_a_listing_that_fails_hides_no_child_of_another_parent(
    world: FakeSuiteWorld, replica: Replica, trouble: BrokerError | None, error: type
) -> None:
    await share(world, replica, PARENT, kinds=False)
    await share(world, replica, OTHER_PARENT, CHILD, kinds=False)
    world.shares.refused.add(PARENT)
    world.shares.trouble = trouble

    assert OTHER_PARENT == (await located(world, replica, CHILD_TARGET)).parent_corp_id
    assert (error, "") == await refused(world, replica, Target("tailored", "wpStranger"))


async def test_after_670001_the_parents_shares_are_listed_again(
    world: FakeSuiteWorld, replica: Replica
) -> None:
    await share(world, replica, PARENT, CHILD)
    world.shares.by_parent[PARENT] = [replace(CHILD, agent_id=70)]
    await world.clock.jump(timedelta(seconds=1))

    async def act(key: CredentialKey) -> int:
        if key.agent_id == CHILD.agent_id:
            raise AppNotShared("not shared", errcode=670001)
        return key.agent_id

    assert 70 == await world.run(replica.targets.reach(CHILD_TARGET, act))
