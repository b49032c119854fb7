"""Shares stay true: by WeCom's events, and by the clock where an event was lost."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from broker.domain.apps import Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CORP_KINDS
from broker.domain.errors import ApiNotAuthorized, AppNotShared, RateLimited, WecomUnavailable
from broker.domain.events.log import Entry, Retention
from broker.domain.ports.store import Notice, NoticeKind
from broker.domain.shares import AppShare, ListingKey, ShareChanges
from broker.usecases.shares.relisting import (
    LONGEST_REST,
    MINUTE,
    MOST_A_MINUTE,
    PATIENCE,
    PROMPT,
    QUIET,
    SETTLED,
    SKEW,
)
from broker.usecases.signing import Signing
from tests.kit.memory.engine_world import CHILD, CHILD_SHARE, CHILD_TARGET, CRM, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.fake_users import CountedChance
from tests.kit.memory.memory_event_log import MemoryEventLog, SharedLogs
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
GROUP, CHAIN = ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN
NEWCOMER = AppShare(GROUP, "ww-newcomer", 9)
BOTH = replace(CRM, share_kinds=(GROUP, CHAIN))
LISTED = ListingKey("crm", GROUP).name


class Events:
    """WeCom's events, as a replica writes them into the log."""

    def __init__(self, clock: FakeClock) -> None:
        self._shared = SharedLogs[Entry](clock)
        self._numbers = count()

    async def come(self, replica: Replica, kind: ShareKind = GROUP, times: int = 1) -> None:
        """Let some come in at one moment, and everybody hear of them."""
        log = MemoryEventLog(replica.store, self._shared)
        for _ in range(times):
            await log.append(
                Entry("crm", CRM.corp_id, "share_agent_change", b""),
                key=f"event {next(self._numbers)}",
                once_in=SECOND,
                keep=Retention(timedelta(days=1), 10),
                notify=[ListingKey("crm", kind).name],
            )
        await settle()


@pytest.fixture
def events(clock: FakeClock) -> Events:
    return Events(clock)


@pytest.fixture
async def fleet(world: EngineWorld, clock: FakeClock) -> list[Replica]:
    """Three replicas that hold the listing and the child's token and tickets."""
    replicas = await world.fleet(3)
    for replica in replicas:
        for kind in CORP_KINDS:
            await world.run(replica.engine.get(CHILD.of_kind(kind)))
        await world.run(replica.tokens.get(CHILD_TARGET))
    await clock.jump(60 * SECOND)
    return replicas


def listings(wecom: SimulatedWecom) -> int:
    return wecom.count(Endpoint.SHARES)


# --- events


async def test_a_removed_child_is_refused_on_all_replicas_within_a_second_of_the_event(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.shares = []
    wecom.delay = SECOND / 2
    await events.come(fleet[0])
    await clock.advance(SECOND)

    assert [[]] * 3 == [replica.shares.known(CRM, CHILD.corp_id, None) for replica in fleet]
    assert 2 == listings(wecom)
    for replica in fleet:
        assert isinstance(await world.run(outcome(replica.tokens.get(CHILD_TARGET))), AppNotShared)


async def test_a_removed_childs_token_and_both_tickets_die_on_all_replicas_and_in_the_store(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    keys = [CHILD.of_kind(kind) for kind in CORP_KINDS]
    assert all(replica.memory.find(key) for replica in fleet for key in keys)
    wecom.shares = []
    await events.come(fleet[0])
    await clock.advance(SECOND)

    assert not [key for replica in fleet for key in keys if replica.memory.find(key)]
    assert {True} == {world.shared.records[key.name].is_tombstone for key in keys}


async def test_a_replica_that_never_had_the_listing_loses_the_childs_token_too(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    one, other = await world.fleet(2)
    await world.run(one.tokens.get(CHILD_TARGET))
    await world.run(other.engine.get(CHILD))
    assert not other.shares.has_listing()
    wecom.shares = []
    await clock.jump(SECOND)

    await world.run(one.lister.sync(CRM))
    await settle()

    assert other.memory.find(CHILD) is None


async def test_a_removed_childs_page_is_not_signed_any_more(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    signing = [
        Signing(replica.targets, replica.engine, clock, CountedChance())  # type: ignore[arg-type]
        for replica in fleet
    ]
    for door in signing:
        await world.run(door.sign_page(CHILD_TARGET, "https://crm.example.com/"))
    wecom.shares = []
    await events.come(fleet[0])
    await clock.advance(SECOND)

    for door in signing:
        refused = await outcome(door.sign_page(CHILD_TARGET, "https://crm.example.com/"))
        assert isinstance(refused, AppNotShared)


async def test_a_child_that_came_is_served_without_another_listing(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.shares.append(NEWCOMER)
    await events.come(fleet[1])
    await clock.advance(SECOND)

    for replica in fleet:
        assert 9 == (await world.run(replica.tokens.get(Target("crm", "ww-newcomer")))).key.agent_id
    assert 2 == listings(wecom)


async def test_a_child_that_comes_back_is_not_kept_waiting_by_an_old_refusal(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.fail(Endpoint.CHILD_TOKEN, lambda: AppNotShared("not shared", errcode=670001))
    for replica in fleet:
        replica.memory.drop(CHILD)
    await fleet[0].store.forget(CHILD.name, 10**14)
    wecom.shares = []
    assert isinstance(await world.run(outcome(fleet[0].tokens.get(CHILD_TARGET))), AppNotShared)
    wecom.recover()
    wecom.shares = [CHILD_SHARE]
    await events.come(fleet[1])
    await clock.advance(QUIET)

    for replica in fleet:
        assert CHILD == (await world.run(replica.tokens.get(CHILD_TARGET), within=SECOND)).key


async def test_both_sides_of_a_watch_hear_of_it_snapshot_first(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    watches = [replica.shares.watch(CRM) for replica in fleet]
    assert [ShareChanges((CHILD_SHARE,), (), 0)] * 3 == await world.gather(*(anext(w) for w in watches))
    told = [asyncio.ensure_future(anext(watch)) for watch in watches]
    wecom.shares = [NEWCOMER]
    await events.come(fleet[2])
    await clock.advance(SECOND)

    assert [ShareChanges((NEWCOMER,), (CHILD_SHARE,), 0)] * 3 == [task.result() for task in told]
    for watch in watches:
        await watch.aclose()


async def test_a_child_under_another_agent_id_went_and_came_in_one_listing(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.shares = [replace(CHILD_SHARE, agent_id=8)]
    await events.come(fleet[0])
    await clock.advance(SECOND)

    for replica in fleet:
        assert replica.memory.find(CHILD) is None
        assert 8 == (await world.run(replica.tokens.get(CHILD_TARGET))).key.agent_id


async def test_a_child_that_keeps_one_of_two_kinds_keeps_that_kinds_token(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.shares.append(replace(CHILD_SHARE, share_kind=CHAIN))
    replica = await world.start(apps=[BOTH])
    by_group, by_chain = (Target("crm", "ww-child", kind) for kind in (GROUP, CHAIN))
    await world.gather(replica.tokens.get(by_group), replica.tokens.get(by_chain))
    wecom.shares = [replace(CHILD_SHARE, share_kind=CHAIN)]
    await events.come(replica, GROUP)
    await events.come(replica, CHAIN)
    await clock.advance(SECOND)

    assert isinstance(await outcome(replica.tokens.get(by_group)), AppNotShared)
    assert CHAIN == (await replica.tokens.get(by_chain)).key.share_kind
    assert CHAIN == (await replica.tokens.get(CHILD_TARGET)).key.share_kind
    assert 2 == wecom.count(Endpoint.CHILD_TOKEN)


async def test_an_event_of_one_kind_lists_that_kind_only(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    replica = await world.start(apps=[BOTH])
    await world.run(replica.shares.all(BOTH))
    await clock.jump(SECOND)
    await events.come(replica, CHAIN)
    await clock.advance(SECOND)

    assert 1 == wecom.count(Endpoint.SHARES, f"shares:{GROUP}")
    assert 2 == wecom.count(Endpoint.SHARES, f"shares:{CHAIN}")


async def test_an_event_of_a_kind_that_the_app_does_not_have_lists_nothing(
    replica: Replica, wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    await events.come(replica, CHAIN)
    replica.renewal.schedule(CRM, CHAIN, clock.now())
    await clock.advance(SECOND)

    assert 0 == wecom.count()


async def test_the_first_event_makes_the_listing_known_though_nobody_asked_for_it(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    replicas = await world.fleet(3)
    await events.come(replicas[0])
    await clock.advance(SECOND)

    assert [[CHILD_SHARE]] * 3 == [replica.shares.held(CRM) for replica in replicas]
    assert 1 == listings(wecom)


# --- bursts


async def test_a_burst_is_one_listing_of_the_fleet(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.shares = []
    for _ in range(3):
        await events.come(fleet[0], times=20)
        await clock.advance(QUIET * 0.9)
    await clock.advance(SECOND)

    assert 2 == listings(wecom)


@pytest.mark.slow
async def test_five_thousand_notices_are_two_listings_at_most_and_one_task(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    await events.come(fleet[0])
    before = len(asyncio.all_tasks())
    await events.come(fleet[0], times=5_000)

    assert len(asyncio.all_tasks()) <= before
    await clock.advance(SECOND)
    assert 2 == listings(wecom)


async def test_events_without_end_are_listed_for_all_the_same(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.shares = []
    for turn in range(12):
        await events.come(fleet[turn % 3])
        await clock.advance(QUIET / 2)

    assert [[]] * 3 == [replica.shares.held(CRM) for replica in fleet]
    await clock.advance(SECOND)
    # One for each time that patience ended in 0.6 s, and one for the rest.
    assert listings(wecom) <= 1 + 3


async def test_forged_notices_cost_twenty_listings_a_minute_and_true_events_count_in_the_end(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.tokens.get(CHILD_TARGET))
    await clock.jump(60 * SECOND)
    before = listings(wecom)
    for _ in range(120):
        replica.notifications.publish(
            Notice(NoticeKind.APPENDED, LISTED, int(clock.now().timestamp() * 1000))
        )
        await clock.advance(SECOND / 2)
    assert listings(wecom) - before <= MOST_A_MINUTE + 1

    wecom.shares.append(NEWCOMER)
    replica.notifications.publish(Notice(NoticeKind.APPENDED, LISTED, int(clock.now().timestamp() * 1000)))
    await clock.advance(2 * MINUTE)
    assert NEWCOMER in replica.shares.held(CRM)


async def test_an_event_while_a_listing_is_under_way_causes_one_more(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.delay = SECOND
    await events.come(fleet[0])
    await clock.advance(QUIET + SECOND / 2)
    assert 2 == listings(wecom)

    wecom.shares = [NEWCOMER]  # the listing under way answers with it by luck only
    await events.come(fleet[1], times=3)
    await clock.advance(3 * SECOND)

    assert 3 == listings(wecom)
    assert [[NEWCOMER]] * 3 == [replica.shares.held(CRM) for replica in fleet]


async def test_a_listing_begun_by_somebody_else_before_the_event_does_not_do(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.delay = SECOND
    syncing = asyncio.ensure_future(fleet[1].lister.sync(CRM))
    await clock.advance(SECOND / 2)
    await events.come(fleet[0])
    await clock.advance(3 * SECOND)

    assert 3 == listings(wecom)
    await syncing


@pytest.mark.parametrize("skew", [20 * MILLISECOND, -20 * MILLISECOND])
async def test_clocks_that_are_a_little_apart_neither_hide_a_change_nor_list_twice(
    world: EngineWorld,
    fleet: list[Replica],
    wecom: SimulatedWecom,
    clock: FakeClock,
    events: Events,
    skew: timedelta,
) -> None:
    fleet[0].clock.skew, fleet[2].clock.skew = skew, -skew
    await world.run(fleet[0].lister.sync(CRM))  # a listing just before the event, perhaps dated after it
    before = listings(wecom)
    wecom.shares = []
    await events.come(fleet[1])
    await clock.advance(SECOND)

    assert [[]] * 3 == [replica.shares.held(CRM) for replica in fleet]
    assert before + 1 == listings(wecom)


@pytest.mark.parametrize("moment", [0, 10**12, 10**13, 10**30])
async def test_an_event_dated_at_another_time_is_from_now(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, moment: int
) -> None:
    for shares in ([NEWCOMER], [CHILD_SHARE]):
        wecom.shares = shares
        fleet[0].store._publish(Notice(NoticeKind.APPENDED, LISTED, moment))
        await settle()
        await clock.advance(SECOND)

        assert [shares] * 3 == [replica.shares.held(CRM) for replica in fleet]
        assert abs(fleet[0].lists.all()[0].listed_at - clock.now()) <= PROMPT


async def test_replicas_that_hear_at_different_times_share_one_listing(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    fleet[2].store.deaf = True
    await events.come(fleet[0])
    notice = Notice(NoticeKind.APPENDED, LISTED, int(clock.now().timestamp() * 1000))
    await clock.advance(QUIET * 3)
    fleet[2].store.deaf = False
    fleet[2].store._on_notice(notice)
    await settle()
    await clock.advance(SECOND)

    assert 2 == listings(wecom)


async def test_a_service_that_opened_an_envelope_itself_may_tell_of_a_change(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.shares = []
    for _ in range(10):
        fleet[0].renewal.schedule(CRM, GROUP, clock.now())
    await clock.advance(SECOND)

    assert [[]] * 3 == [replica.shares.held(CRM) for replica in fleet]
    assert 2 == listings(wecom)


# --- what goes wrong


async def test_a_failed_listing_keeps_the_shares_and_is_tried_until_it_succeeds(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.shares = []
    wecom.fail(Endpoint.SHARES, lambda: WecomUnavailable("broke off in the middle"))
    await events.come(fleet[0])
    await clock.advance(20 * SECOND)
    assert [[CHILD_SHARE]] * 3 == [replica.shares.held(CRM) for replica in fleet]
    assert listings(wecom) <= 1 + 8

    wecom.recover()
    await clock.advance(LONGEST_REST + SECOND)
    assert [[]] * 3 == [replica.shares.held(CRM) for replica in fleet]
    for replica in fleet:
        assert 1 == len(replica.witness.failures)
        replica.witness.failures.clear()


async def test_an_outage_of_an_hour_does_not_end_the_trying(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.shares = []
    wecom.fail(Endpoint.SHARES, lambda: WecomUnavailable("busy"))
    await events.come(fleet[0])
    await clock.advance(timedelta(hours=1))
    wecom.recover()
    await clock.advance(2 * LONGEST_REST)

    assert [[]] * 3 == [replica.shares.known(CRM, CHILD.corp_id, None) for replica in fleet]
    for replica in fleet:
        assert 1 == len(replica.witness.failures)
        replica.witness.failures.clear()


async def test_the_listing_that_an_operator_brought_about_ends_the_trying(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.fail(Endpoint.SHARES, lambda: ApiNotAuthorized("not permitted", errcode=48002))
    await events.come(fleet[0])
    await clock.advance(300 * SECOND)
    assert all(replica.renewal._expected for replica in fleet)
    assert listings(wecom) <= 1 + 5

    wecom.recover()
    wecom.shares = [NEWCOMER]
    await world.run(fleet[1].lister.sync(CRM))
    before = listings(wecom)
    await clock.advance(LONGEST_REST + SECOND)
    assert not any(replica.renewal._expected for replica in fleet)
    assert before == listings(wecom)
    for replica in fleet:
        replica.witness.failures.clear()


async def test_a_limit_is_not_hammered_and_the_listing_comes_when_it_is_over(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.fail(Endpoint.SHARES, lambda: RateLimited("too often", timedelta(minutes=10)))
    await events.come(fleet[0])
    await clock.advance(300 * SECOND)
    assert 2 == listings(wecom)

    wecom.recover()
    wecom.shares = [NEWCOMER]
    await clock.advance(400 * SECOND)
    assert 3 == listings(wecom)
    assert [[NEWCOMER]] * 3 == [replica.shares.held(CRM) for replica in fleet]
    assert not any(replica.renewal._expected for replica in fleet)
    for replica in fleet:
        replica.witness.failures.clear()


async def test_an_event_while_the_trying_goes_on_is_covered_by_it(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.fail(Endpoint.SHARES, lambda: WecomUnavailable("busy"))
    await events.come(fleet[0])
    await clock.advance(10 * SECOND)
    await events.come(fleet[0], times=100)
    wecom.recover()
    wecom.shares = [NEWCOMER]
    before = listings(wecom)
    await clock.advance(LONGEST_REST)

    assert before + 1 == listings(wecom)
    assert [[NEWCOMER]] * 3 == [replica.shares.held(CRM) for replica in fleet]
    for replica in fleet:
        replica.witness.failures.clear()


async def test_the_replica_that_lists_may_die_in_the_middle(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock, events: Events
) -> None:
    wecom.shares = []
    wecom.delay = SECOND
    await events.come(fleet[0])
    await clock.advance(QUIET + SECOND / 2)
    lister = wecom.calls[-1].replica
    await fleet[lister].crash()
    await clock.advance(10 * SECOND)

    others = [replica for number, replica in enumerate(fleet) if number != lister]
    assert [[], []] == [replica.shares.held(CRM) for replica in others]
    assert [None, None] == [replica.memory.find(CHILD) for replica in others]


async def test_a_listing_that_was_overtaken_while_it_was_loaded_is_looked_at_again(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    late = await world.start()
    load = late.store.load

    async def slowly(names: list[str]) -> object:
        found = await load(names)
        if LISTED in names:
            await clock.sleep(SECOND)
        return found

    late.store.load = slowly  # type: ignore[method-assign, assignment]
    asking = asyncio.ensure_future(late.shares.all(CRM))
    await clock.advance(SECOND / 2)
    wecom.shares = [NEWCOMER]
    await fleet[0].lister.sync(CRM)
    await clock.advance(3 * SECOND)

    assert [CHILD_SHARE] == await asking
    assert [NEWCOMER] == late.shares.held(CRM)


# --- what events did not tell


async def test_a_lost_event_is_found_out_by_the_clock(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    for replica in fleet:
        replica.tasks.keep_running("reconciling shares", replica.sharing.reconciliation.run)
    wecom.shares = [NEWCOMER]
    await clock.advance(630 * SECOND)

    assert [[NEWCOMER]] * 3 == [replica.shares.held(CRM) for replica in fleet]
    assert [None] * 3 == [replica.memory.find(CHILD) for replica in fleet]
    assert 2 == listings(wecom)


async def test_after_the_store_was_away_what_may_have_been_missed_is_listed_once(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    world.called_back.add("crm")
    replicas = await world.fleet(3)
    await world.gather(*(replica.shares.all(CRM) for replica in replicas))
    await clock.advance(60 * SECOND)
    assert 1 == listings(wecom)

    for replica in replicas:
        replica.store.cut()
    wecom.shares = [NEWCOMER]
    await clock.advance(10 * SECOND)
    for replica in replicas:
        replica.store.mend()
        await clock.advance(SETTLED / 3)
    await clock.advance(SETTLED + SECOND)

    assert 2 == listings(wecom)
    assert [[NEWCOMER]] * 3 == [replica.shares.held(CRM) for replica in replicas]


async def test_without_a_callback_nothing_can_have_been_missed(
    fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    for replica in fleet:
        replica.store.cut()
        replica.store.mend()
    await clock.advance(60 * SECOND)

    assert 1 == listings(wecom)


async def test_a_connection_that_comes_and_goes_is_caught_up_with_when_it_stays(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    world.called_back.add("crm")
    replica = await world.start()
    await world.run(replica.shares.all(CRM))
    tasks = len(asyncio.all_tasks())
    for _ in range(50):
        replica.store._on_notice(Notice(NoticeKind.CONNECTED))
        await clock.advance(QUIET)
    assert len(asyncio.all_tasks()) <= tasks + 1
    await clock.advance(2 * SETTLED)

    assert 2 == listings(wecom)


def test_the_quiet_of_a_burst_covers_the_difference_of_clocks_and_leaves_time_to_list() -> None:
    assert SKEW < QUIET
    assert PATIENCE * QUIET < SECOND / 2
