"""From a target to a credential: which share is meant, and what WeCom says of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import AmbiguousTarget, AppNotShared, InvalidRequest, UnknownApp
from broker.domain.shares import AppShare
from tests.kit.memory.engine_world import (
    CHILD,
    CHILD_SHARE,
    CHILD_TARGET,
    CRM,
    OWN,
    OWN_TARGET,
    PARENT,
    EngineWorld,
    Replica,
    outcome,
)
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

BOTH_KINDS = replace(CRM, share_kinds=(ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN))
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("target", [OWN_TARGET, Target("crm", PARENT), Target("crm", "", None, CRM.agent_id)])
async def test_the_apps_own_corp_is_meant_by_its_id_or_by_none(replica: Replica, target: Target) -> None:
    assert OWN == await replica.targets.locate(target)


async def test_a_child_is_meant_by_its_corp_id(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    credential = await world.run(replica.tokens.get(CHILD_TARGET))

    assert CHILD == credential.key
    assert [1, 1, 1, 0, 0] == [wecom.count(endpoint) for endpoint in Endpoint]


async def test_a_corp_id_is_compared_exactly(world: EngineWorld, replica: Replica) -> None:
    assert isinstance(await world.run(outcome(replica.tokens.get(Target("crm", "WW-CHILD")))), AppNotShared)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (Target("nobody"), UnknownApp),
        (Target("nobody", "ww-child"), UnknownApp),
        (Target("crm", "", None, 999), InvalidRequest),
        (Target("crm", "ww-child", None, 999), AppNotShared),
        (Target("crm", "ww-child", ShareKind.SUPPLY_CHAIN), AppNotShared),
        (Target("crm", "ww-stranger"), AppNotShared),
    ],
)
async def test_a_target_that_nobody_has_is_refused(
    world: EngineWorld, replica: Replica, target: Target, problem: type[Exception]
) -> None:
    assert isinstance(await world.run(outcome(replica.tokens.get(target))), problem)


async def test_a_negative_min_ttl_is_refused(replica: Replica) -> None:
    with pytest.raises(InvalidRequest):
        await replica.tokens.get(OWN_TARGET, -SECOND)


async def test_a_child_with_both_kinds_of_share_must_be_told_apart(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    replica = await world.start(apps=[BOTH_KINDS])
    chain = AppShare(ShareKind.SUPPLY_CHAIN, CHILD_SHARE.corp_id, CHILD_SHARE.agent_id)
    wecom.shares.append(chain)

    error = await world.run(outcome(replica.tokens.get(CHILD_TARGET)))
    one = await world.run(replica.tokens.get(CHILD_TARGET._replace(share_kind=ShareKind.CORP_GROUP)))
    other = await world.run(replica.tokens.get(CHILD_TARGET._replace(share_kind=ShareKind.SUPPLY_CHAIN)))

    assert isinstance(error, AmbiguousTarget)
    assert "target.share_kind" == error.metadata["field"]
    assert (CHILD, CredentialKey.child_token(CRM, chain)) == (one.key, other.key)
    assert one.value != other.value


async def test_a_child_with_several_agents_must_be_told_apart(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.shares.append(replace(CHILD_SHARE, agent_id=8))

    error = await world.run(outcome(replica.tokens.get(CHILD_TARGET)))
    chosen = await world.run(replica.tokens.get(CHILD_TARGET._replace(agent_id=8)))

    assert isinstance(error, AmbiguousTarget)
    assert "target.agent_id" == error.metadata["field"]
    assert "7, 8" in error.message
    assert 8 == chosen.key.agent_id


async def test_an_app_without_shares_never_lists(world: EngineWorld, wecom: SimulatedWecom) -> None:
    replica = await world.start(apps=[replace(CRM, share_kinds=())])

    assert isinstance(await world.run(outcome(replica.tokens.get(CHILD_TARGET))), AppNotShared)
    assert 0 == wecom.count()


async def test_a_child_that_got_another_agent_id_is_found_under_it(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    wecom.shares = [replace(CHILD_SHARE, agent_id=8)]
    await clock.jump(60 * SECOND)

    found = await world.run(replica.tokens.get(CHILD_TARGET))

    assert 8 == found.key.agent_id
    assert 2 == wecom.count(Endpoint.SHARES)


async def test_an_agent_id_that_the_child_does_not_have_is_named_beside_the_one_it_has(
    world: EngineWorld, replica: Replica
) -> None:
    refused = await world.run(outcome(replica.tokens.get(Target("crm", "ww-child", None, 999))))

    assert isinstance(refused, AppNotShared)
    assert "under agent id 7, not 999" in refused.message
    assert ("ww-child", "999") == (refused.metadata["corp_id"], refused.metadata["agent_id"])


async def test_a_child_whose_share_ended_is_not_shared_after_one_listing(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    wecom.shares = []
    await clock.jump(60 * SECOND)

    errors = [await world.run(outcome(replica.tokens.get(CHILD_TARGET))) for _ in range(5)]

    assert all(isinstance(error, AppNotShared) for error in errors)
    assert 1 == wecom.count(Endpoint.CHILD_TOKEN)
    assert wecom.count(Endpoint.SHARES) <= 3


async def test_a_child_that_wecom_lists_and_refuses_is_asked_for_within_limits(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replicas = await world.fleet(3)
    wecom.fail(Endpoint.CHILD_TOKEN, lambda: AppNotShared("not shared", errcode=670001))

    for _ in range(20):
        for replica in replicas:
            assert isinstance(await world.run(outcome(replica.tokens.get(CHILD_TARGET))), AppNotShared)
        await clock.jump(SECOND)

    assert wecom.count(Endpoint.CHILD_TOKEN) <= 3
    assert wecom.count(Endpoint.SHARES) <= 4


async def test_a_watch_begins_with_the_current_token_of_the_child(
    world: EngineWorld, replica: Replica
) -> None:
    watching = await world.run(replica.tokens.watch(CHILD_TARGET))

    first = await world.run(anext(watching))
    await watching.aclose()

    assert first == await replica.engine.get(CHILD)
