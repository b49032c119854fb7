"""An app that is shared through 企业互联 and 上下游: a listing that fails costs its own kind only."""

import asyncio
import gc
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import AmbiguousTarget, ApiNotAuthorized, BrokerError, RateLimited, WecomUnavailable
from broker.domain.shares import AppShare
from tests.kit.memory.engine_world import CHILD, CHILD_SHARE, CHILD_TARGET, CRM, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

GROUP, CHAIN = ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN
BOTH = replace(CRM, share_kinds=(GROUP, CHAIN))
OF_GROUP, OF_CHAIN = f"shares:{GROUP}", f"shares:{CHAIN}"
"""What WeCom is asked for."""
SUPPLIER = AppShare(CHAIN, "ww-supplier", 8)
STRANGER = Target("crm", "ww-stranger")
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)

LIMITED = RateLimited("too many", errcode=45009)
UNAVAILABLE, REFUSED = WecomUnavailable("system busy", errcode=-1), ApiNotAuthorized("no", errcode=48002)


@pytest.fixture
async def world() -> AsyncIterator[EngineWorld]:
    async with EngineWorld(apps=[BOTH]) as world:
        world.wecom.shares.append(SUPPLIER)
        yield world


@pytest.mark.parametrize("error", [UNAVAILABLE, REFUSED])
@pytest.mark.parametrize(("failing", "share"), [(CHAIN, CHILD_SHARE), (GROUP, SUPPLIER)])
async def test_a_listing_that_fails_hides_no_child_of_the_other_kind(
    world: EngineWorld,
    replica: Replica,
    wecom: SimulatedWecom,
    error: BrokerError,
    failing: ShareKind,
    share: AppShare,
) -> None:
    wecom.refusals[f"shares:{failing}"] = error
    child = Target("crm", share.corp_id)

    assert CredentialKey.child_token(BOTH, share) == await world.run(replica.targets.locate(child))
    for hidden in (STRANGER, child._replace(share_kind=failing)):
        assert isinstance(await world.run(outcome(replica.targets.locate(hidden))), type(error))


async def test_where_one_listing_is_refused_and_one_may_succeed_soon_waiting_may_help(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.refusals = {OF_GROUP: REFUSED, OF_CHAIN: UNAVAILABLE}

    assert isinstance(await world.run(outcome(replica.targets.locate(CHILD_TARGET))), WecomUnavailable)


async def test_a_child_through_both_kinds_is_ambiguous_as_soon_as_both_are_listed(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.shares.append(replace(CHILD_SHARE, share_kind=CHAIN, agent_id=9))
    wecom.refusals[OF_CHAIN] = UNAVAILABLE
    assert CHILD == await world.run(replica.targets.locate(CHILD_TARGET))

    wecom.refusals.clear()
    await clock.jump(60 * SECOND)
    supplier = Target("crm", SUPPLIER.corp_id)
    assert SUPPLIER.agent_id == (await world.run(replica.targets.locate(supplier))).agent_id
    assert isinstance(await world.run(outcome(replica.targets.locate(CHILD_TARGET))), AmbiguousTarget)


@pytest.mark.parametrize("error", [REFUSED, LIMITED])
async def test_a_known_child_waits_once_for_a_listing_that_fails(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock, error: BrokerError
) -> None:
    """An error may be remembered as the listing's, or as the endpoint's."""
    wecom.refusals[OF_CHAIN], wecom.delays[OF_CHAIN] = error, 10 * SECOND
    await world.run(replica.shares.find(BOTH, CHILD_SHARE.corp_id, None))

    for attempts in (1, 2, 3):
        began = clock.now()
        for _ in range(100):
            assert [CHILD_SHARE] == await replica.shares.find(BOTH, CHILD_SHARE.corp_id, None)
        await settle()
        # Others may wait for the attempt that has begun.
        assert (began, attempts) == (clock.now(), wecom.count(Endpoint.SHARES, OF_CHAIN))
        await clock.advance(10 * SECOND)
        assert [CHILD_SHARE] == replica.shares.known(BOTH, CHILD_SHARE.corp_id, None)
        await clock.jump(HOUR)

    wecom.refusals.clear()
    assert replica.shares.known(BOTH, CHILD_SHARE.corp_id, None) is None
    await replica.shares.find(BOTH, CHILD_SHARE.corp_id, None)
    await clock.advance(10 * SECOND)
    assert [SUPPLIER] == replica.shares.known(BOTH, SUPPLIER.corp_id, None)


async def test_a_listing_that_hangs_does_not_delay_that_of_the_other_kind(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.delays[OF_GROUP] = 10 * SECOND
    looking = replica.tasks.create_task(replica.shares.find(BOTH, SUPPLIER.corp_id, None))
    await clock.advance(SECOND)

    assert not looking.done()
    assert [SUPPLIER] == replica.shares.held_with(BOTH, SUPPLIER.corp_id, None)
    looking.cancel()


async def test_a_newcomer_of_one_kind_is_found_though_the_other_cannot_be_listed_anew(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(BOTH))
    newcomer = replace(SUPPLIER, corp_id="ww-newcomer")
    wecom.shares.append(newcomer)
    await clock.jump(60 * SECOND)
    wecom.refusals[OF_GROUP] = UNAVAILABLE

    assert [newcomer] == await world.run(replica.shares.find(BOTH, newcomer.corp_id, None))


async def test_a_sync_lists_one_kind_though_the_other_fails(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.refusals[OF_GROUP] = REFUSED

    assert isinstance(await world.run(outcome(replica.lister.sync(BOTH))), ApiNotAuthorized)
    assert [SUPPLIER] == replica.shares.held(BOTH)


@pytest.mark.slow
async def test_who_leaves_before_a_listing_begins_leaves_nothing_behind(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    """A coroutine that nobody awaits is an error of these tests."""
    for steps in range(6):
        looking = asyncio.create_task(replica.shares.find(BOTH, CHILD_SHARE.corp_id, None))
        for _ in range(steps):
            await asyncio.sleep(0)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        gc.collect()
