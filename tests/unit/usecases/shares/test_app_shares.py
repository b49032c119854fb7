"""The shares of an app: listed once, found by corp, in step over the fleet."""

import gc
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import AppNotShared, RateLimited, StoreUnavailable, WecomUnavailable
from broker.domain.shares import AppShare, ShareChanges
from broker.usecases.shares.lister import RELISTS
from tests.kit.memory.engine_world import CHILD, CHILD_SHARE, CHILD_TARGET, CRM, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)
KIND = ShareKind.CORP_GROUP
NEWCOMER = AppShare(KIND, "ww-newcomer", 9, "新来的")


async def test_a_hundred_cold_callers_on_three_replicas_list_once(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    replicas = await world.fleet(3)

    found = await world.gather(*(replicas[turn % 3].shares.all(CRM) for turn in range(100)))

    assert [[CHILD_SHARE]] * 100 == found
    assert 1 == wecom.count(Endpoint.SHARES)


async def test_a_newcomer_is_found_by_one_more_listing(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    wecom.shares.append(NEWCOMER)
    await clock.jump(60 * SECOND)
    wecom.delay = SECOND

    found = await world.gather(*(replica.tokens.get(Target("crm", NEWCOMER.corp_id)) for _ in range(50)))

    assert {9} == {credential.key.agent_id for credential in found}
    assert 2 == wecom.count(Endpoint.SHARES)


async def test_a_listing_that_changes_nothing_leaves_what_was_located(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    await world.run(replica.tokens.get(CHILD_TARGET))
    await clock.jump(60 * SECOND)
    await world.run(replica.lister.sync(CRM))
    assert CHILD == replica.targets.located(CHILD_TARGET)

    wecom.shares.append(NEWCOMER)
    await clock.jump(60 * SECOND)
    await world.run(replica.lister.sync(CRM))
    assert replica.targets.located(CHILD_TARGET) is None, "any change may concern any target"


async def test_a_newcomer_is_found_on_all_replicas_while_one_of_them_lists(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replicas = await world.fleet(3)
    await world.gather(*(replica.shares.all(CRM) for replica in replicas))
    wecom.shares.append(NEWCOMER)
    await clock.jump(60 * SECOND)
    wecom.delay = SECOND

    found = await world.gather(
        *(replicas[turn % 3].tokens.get(Target("crm", NEWCOMER.corp_id)) for turn in range(30))
    )

    assert {9} == {credential.key.agent_id for credential in found}
    assert 2 == wecom.count(Endpoint.SHARES)


async def test_a_child_under_another_agent_id_is_found_by_all_who_ask_at_once(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    wecom.shares = [replace(CHILD_SHARE, agent_id=8)]
    await clock.jump(60 * SECOND)
    wecom.delay = SECOND

    found = await world.gather(*(replica.tokens.get(CHILD_TARGET) for _ in range(30)))

    assert {8} == {credential.key.agent_id for credential in found}
    assert 2 == wecom.count(Endpoint.SHARES)


async def test_an_unknown_child_that_was_just_listed_is_not_listed_for_again(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    assert isinstance(
        await world.run(outcome(replica.tokens.get(Target("crm", "ww-stranger")))), AppNotShared
    )
    assert 1 == wecom.count(Endpoint.SHARES)


async def test_strangers_cause_few_listings_over_the_fleet(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replicas = await world.fleet(3)
    await world.gather(*(replica.shares.all(CRM) for replica in replicas))
    await clock.jump(60 * SECOND)

    for turn in range(60):
        call = replicas[turn % 3].tokens.get(Target("crm", f"ww-stranger-{turn}"))
        assert isinstance(await world.run(outcome(call)), AppNotShared)

    assert wecom.count(Endpoint.SHARES) <= 1 + RELISTS


async def test_corps_that_callers_make_up_leave_few_counters_in_the_store(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    for turn in range(60):
        await clock.jump(SECOND / 100)
        call = replica.tokens.get(Target("crm", f"ww-stranger-{turn}"))
        assert isinstance(await world.run(outcome(call)), AppNotShared)

    assert RELISTS == sum("ww-stranger" in name for name in world.shared.counters)
    assert 1 + RELISTS == wecom.count(Endpoint.SHARES)


async def test_one_stranger_is_looked_for_once_in_a_cooldown(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    await clock.jump(60 * SECOND)

    for _ in range(20):
        await world.run(outcome(replica.tokens.get(Target("crm", "ww-stranger"))))
        await clock.jump(SECOND)

    assert 3 == wecom.count(Endpoint.SHARES)


async def test_without_the_store_a_stranger_is_looked_for_within_the_cooldown_too(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    replica.store.cut()

    for turn in range(10):
        await world.run(outcome(replica.tokens.get(Target("crm", f"ww-stranger-{turn}"))))
    assert 1 == wecom.count(Endpoint.SHARES)

    await clock.jump(60 * SECOND)
    for turn in range(10):
        await world.run(outcome(replica.tokens.get(Target("crm", f"ww-stranger-{turn}"))))
    assert 2 == wecom.count(Endpoint.SHARES)


async def test_a_sync_tells_what_changed_against_what_was_known(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    kept = replace(CHILD_SHARE, corp_id="ww-kept", corp_name="before")
    wecom.shares.append(kept)
    first = await world.run(replica.lister.sync(CRM))
    await clock.jump(world.policy.cooldown)
    wecom.shares = [NEWCOMER, replace(kept, corp_name="after")]

    second = await world.run(replica.lister.sync(CRM))

    assert ShareChanges((CHILD_SHARE, kept), (), 0) == first
    assert ShareChanges((NEWCOMER,), (CHILD_SHARE,), 1) == second
    assert [("crm", [NEWCOMER], [CHILD_SHARE])] == replica.witness.changes


async def test_syncs_of_the_whole_fleet_share_one_listing_a_cooldown(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    fleet = await world.fleet(2)
    for _ in range(50):
        for replica in fleet:
            await world.run(replica.lister.sync(CRM))
        await clock.jump(SECOND / 10)

    assert 1 == wecom.count(Endpoint.SHARES)
    wecom.shares = [NEWCOMER]
    await clock.jump(world.policy.cooldown)
    changes = await world.run(fleet[1].lister.sync(CRM))
    assert (ShareChanges((NEWCOMER,), (CHILD_SHARE,), 0), 2) == (changes, wecom.count(Endpoint.SHARES))


async def test_syncs_that_fail_share_what_they_failed_with(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.SHARES, lambda: RateLimited("too often", errcode=45009))
    errors = [await world.run(outcome(replica.lister.sync(CRM))) for _ in range(50)]

    assert {RateLimited} == {type(error) for error in errors}
    assert 1 == wecom.count(Endpoint.SHARES)


async def test_a_sync_on_a_new_replica_compares_with_what_the_store_knows(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.lister.sync(CRM))
    await clock.jump(SECOND)

    assert ShareChanges((), (), 1) == await world.run((await world.start()).lister.sync(CRM))


async def test_a_sync_covers_all_kinds_of_share(world: EngineWorld, wecom: SimulatedWecom) -> None:
    app = replace(CRM, share_kinds=(KIND, ShareKind.SUPPLY_CHAIN))
    replica = await world.start(apps=[app])
    chain = replace(CHILD_SHARE, share_kind=ShareKind.SUPPLY_CHAIN)
    wecom.shares.append(chain)

    changes = await world.run(replica.lister.sync(app))

    assert (CHILD_SHARE, chain) == changes.added


async def test_a_sync_ends_though_the_clock_steps_back(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    await world.run(replica.lister.sync(CRM))
    replica.clock.skew = timedelta(0)
    known_before = replica.lister._known_before

    async def then_set_back(*whose: object) -> object:
        replica.clock.skew = -60 * SECOND
        return await known_before(*whose)  # type: ignore[arg-type]

    replica.lister._known_before = then_set_back  # type: ignore[method-assign, assignment]

    await world.run(replica.lister.sync(CRM))

    assert 2 == wecom.count(Endpoint.SHARES)


async def test_the_others_follow_a_listing(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    one, other = await world.fleet(2)
    await world.gather(one.shares.all(CRM), other.shares.all(CRM))
    wecom.shares.append(NEWCOMER)
    await clock.jump(SECOND)

    await world.run(one.lister.sync(CRM))
    await settle()

    assert [NEWCOMER] == other.shares.known(CRM, NEWCOMER.corp_id, None)
    assert 2 == wecom.count(Endpoint.SHARES)


async def test_a_removed_child_loses_its_token_on_all_replicas(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replicas = await world.fleet(3)
    await world.gather(*(replica.tokens.get(CHILD_TARGET) for replica in replicas))
    wecom.shares = []
    await clock.jump(SECOND)

    await world.run(replicas[0].lister.sync(CRM))
    await settle()

    assert [None] * 3 == [replica.memory.find(CHILD) for replica in replicas]
    assert world.shared.records[CHILD.name].is_tombstone
    for replica in replicas:
        assert isinstance(await world.run(outcome(replica.tokens.get(CHILD_TARGET))), AppNotShared)
    assert 1 == wecom.count(Endpoint.CHILD_TOKEN)


async def test_a_removed_childs_watchers_end_with_the_reason(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    one, other = await world.fleet(2)
    watching = await world.run(other.tokens.watch(CHILD_TARGET))
    await world.run(anext(watching))
    wecom.shares = []
    await clock.jump(SECOND)

    await world.run(one.lister.sync(CRM))

    assert isinstance(await world.run(outcome(anext(watching))), AppNotShared)


async def test_a_child_that_comes_back_gets_a_token_at_once(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    wecom.shares = []
    await clock.jump(SECOND)
    await world.run(outcome(replica.tokens.get(CHILD_TARGET)))
    wecom.shares = [CHILD_SHARE]
    await clock.jump(SECOND)

    await world.run(replica.lister.sync(CRM))

    assert wecom.is_alive((await world.run(replica.tokens.get(CHILD_TARGET))).value)


async def test_a_watch_begins_with_a_snapshot_and_goes_on_with_changes(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    one, other = await world.fleet(2)
    watching = other.shares.watch(CRM)
    assert ShareChanges((CHILD_SHARE,), (), 0) == await world.run(anext(watching))

    for shares in ([CHILD_SHARE, NEWCOMER], [NEWCOMER]):
        wecom.shares = shares
        await clock.jump(world.policy.cooldown)
        await world.run(one.lister.sync(CRM))
        await settle()
    # A slow reader gets the sum.
    assert ShareChanges((NEWCOMER,), (CHILD_SHARE,), 0) == await world.run(anext(watching))
    await watching.aclose()


async def test_a_watch_is_not_told_of_a_new_name(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    watching = replica.shares.watch(CRM)
    await world.run(anext(watching))
    for shares in ([replace(CHILD_SHARE, corp_name="renamed")], [CHILD_SHARE, NEWCOMER]):
        wecom.shares = shares
        await clock.jump(world.policy.cooldown)
        await world.run(replica.lister.sync(CRM))

    assert (NEWCOMER,) == (await world.run(anext(watching))).added
    await watching.aclose()


async def test_a_listing_in_use_is_renewed_by_one_replica(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replicas = await world.fleet(3)
    for replica in replicas:
        replica.tasks.keep_running("reconciling shares", replica.sharing.reconciliation.run)
    await world.gather(*(replica.shares.all(CRM) for replica in replicas))
    wecom.shares.append(NEWCOMER)

    await clock.advance(630 * SECOND)

    assert 2 == wecom.count(Endpoint.SHARES)
    assert [[CHILD_SHARE, NEWCOMER]] * 3 == [await replica.shares.all(CRM) for replica in replicas]


async def test_a_listing_that_fails_to_be_renewed_is_kept_and_tried_again(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    replica.tasks.keep_running("reconciling shares", replica.sharing.reconciliation.run)
    await world.run(replica.shares.all(CRM))
    wecom.fail(Endpoint.SHARES, lambda: WecomUnavailable("busy"), times=3)

    await clock.advance(610 * SECOND)
    assert [CHILD_SHARE] == await replica.shares.all(CRM)
    assert replica.witness.failures
    replica.witness.failures.clear()

    wecom.recover()
    wecom.shares.append(NEWCOMER)
    await clock.advance(120 * SECOND)
    assert [CHILD_SHARE, NEWCOMER] == await replica.shares.all(CRM)
    replica.witness.failures.clear()


async def test_a_listing_that_the_store_lost_is_brought_back(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    await world.run(replica.shares.all(CRM))
    world.shared.lose_data()
    replica.store.mend()
    await settle()

    newcomer = await world.start()

    assert [CHILD_SHARE] == await world.run(newcomer.shares.all(CRM))
    assert 1 == wecom.count(Endpoint.SHARES)


async def test_without_the_store_what_is_known_is_found(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    await world.run(replica.shares.all(CRM))
    replica.store.cut()

    assert (await world.run(replica.tokens.get(CHILD_TARGET))).key == CHILD
    with pytest.raises(StoreUnavailable):
        await replica.store.ping()


@pytest.mark.slow
async def test_ten_thousand_children_cost_ten_times_as_much_as_a_thousand(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    async def cost(number: int) -> float:
        wecom.shares = [replace(CHILD_SHARE, corp_id=f"ww-{number}-{turn}") for turn in range(number)]
        await clock.jump(world.policy.cooldown)
        began = time.process_time()
        await world.run(replica.lister.sync(CRM))
        for turn in range(0, number, 10):
            key = await replica.targets.locate(Target("crm", f"ww-{number}-{turn}"))
            replica.memory.hold(key)
        wecom.shares = [CHILD_SHARE]
        await clock.jump(world.policy.cooldown)
        await world.run(replica.lister.sync(CRM))
        return time.process_time() - began

    gc.disable()  # it goes over whatever other tests have left
    try:
        small = max([await cost(1_000) for _ in range(3)])
        large = await cost(10_000)
    finally:
        gc.enable()

    # A quadratic step would make it a hundred times as much.
    assert large < 40 * small
    assert 0 == sum(key.key.corp_id.startswith("ww-1") for key in replica.memory)


def test_a_key_of_a_child_is_made_of_its_share() -> None:
    assert CHILD == CredentialKey.child_token(CRM, CHILD_SHARE)


async def later(world: EngineWorld, replica: Replica, clock: FakeClock) -> ShareChanges:
    """Compare the list with WeCom's, a minute later."""
    await clock.jump(60 * SECOND)
    return await world.run(replica.lister.sync(CRM))


async def test_an_entry_that_cannot_be_read_takes_no_child_s_share_away(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    token = await world.run(replica.tokens.get(CHILD_TARGET))
    wecom.shares[:] = [NEWCOMER]
    wecom.unreadable = 1
    changes = await later(world, replica, clock)

    assert ShareChanges((NEWCOMER,), (), 1) == changes
    assert token == await world.run(replica.tokens.get(CHILD_TARGET))
    assert [("crm", 1)] == replica.witness.unreadable


async def test_a_child_that_a_listing_with_a_gap_has_under_another_agent_id_has_it_there_only(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.shares.all(CRM))
    wecom.shares[:] = [replace(CHILD_SHARE, agent_id=99)]
    wecom.unreadable = 1
    await later(world, replica, clock)

    assert 99 == (await world.run(replica.tokens.get(CHILD_TARGET))).key.agent_id


async def test_the_next_listing_without_a_gap_takes_away_what_is_gone(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    stays = replace(CHILD_SHARE, corp_id="ww-other")
    wecom.shares[:] = [CHILD_SHARE, stays]
    await world.run(replica.shares.all(CRM))
    wecom.shares[:] = [stays]
    wecom.unreadable = 1
    await later(world, replica, clock)
    wecom.unreadable = 0

    assert ShareChanges((), (CHILD_SHARE,), 1) == await later(world, replica, clock)
