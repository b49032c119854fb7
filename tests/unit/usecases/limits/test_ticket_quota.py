"""The hourly limits of jsapi_tickets: never reached, whoever asks and whenever."""

import asyncio
import gc
import logging
import time
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.credentials import CredentialKey, CredentialKind, Need
from broker.domain.errors import QuotaReserved, WecomUnavailable
from broker.usecases.limits.ticket_quota import HOUR, SLOT, TicketQuota, limits_of
from tests.kit.memory.engine_world import OWN, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.memory_store import MemoryStore, Shared
from tests.kit.memory.wecom import Endpoint, SimulatedWecom
from tests.kit.steps import counted_steps
from tests.kit.time_bounds import check_took

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
APP, CORP = 100, 400
CORP_ID = "ww-corp"
KEY = CredentialKey("crm", CORP_ID, 1, kind=CredentialKind.AGENT_TICKET)
MOST_SECONDS_OF_A_STEP = 0.001
TICKET = OWN.of_kind(CredentialKind.AGENT_TICKET)


class Fleet:
    """Two replicas that count in one store, and everything that they let pass."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.shared = Shared(self.clock)
        self.stores = [MemoryStore(self.shared) for _ in range(2)]
        self.quotas = [TicketQuota(store, self.clock) for store in self.stores]
        self.passed: list[tuple[datetime, int, Need, int]] = []

    async def fetch(
        self, agent_id: int = 1, *, need: Need = Need.RENEWAL, replica: int = 0
    ) -> QuotaReserved | None:
        key = CredentialKey("crm", CORP_ID, agent_id, kind=CredentialKind.AGENT_TICKET)
        try:
            await self.quotas[replica].take(key, need)
        except QuotaReserved as reserved:
            return reserved
        self.passed.append((self.clock.now(), agent_id, need, replica))
        return None

    async def fetch_often(self, times: int, *, need: Need = Need.RENEWAL, replica: int = 0) -> int:
        """Return how many of them passed."""
        before = len(self.passed)
        for _ in range(times):
            await self.fetch(need=need, replica=replica)
        return len(self.passed) - before

    def most_in_an_hour(
        self, agent_id: int | None = None, *, need: Need | None = None, replica: int | None = None
    ) -> int:
        """Return the most that passed in any sixty minutes."""
        moments = [
            moment
            for moment, agent, why, by in self.passed
            if agent_id in (None, agent) and need in (None, why) and replica in (None, by)
        ]
        return max(
            (sum(end - HOUR <= moment <= end for moment in moments) for end in moments),
            default=0,
        )


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


agents = st.sampled_from([1, 1, 1, 2, 3, 4, 5, 6])
bursts = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 5), st.integers(0, 1200)),  # seconds since the burst before
        st.sampled_from([1, 7, 30, 60, 120, 250]),  # how many
        st.lists(st.tuples(agents, st.sampled_from(Need), st.integers(0, 1)), min_size=1, max_size=6),
        st.sampled_from(["both reach it", "one is cut off", "nobody reaches it", "it loses its data"]),
        st.booleans(),  # at once, or one after the other
    ),
    min_size=1,
    max_size=12,
)


async def _play(
    script: list[tuple[int, int, list[tuple[int, Need, int]], str, bool]], *, store_holds: bool
) -> Fleet:
    fleet = Fleet()
    for gap, times, kinds, trouble, together in script:
        await fleet.clock.advance(gap * SECOND)
        if not store_holds:
            fleet.stores[0].away = trouble == "nobody reaches it"
            fleet.stores[1].away = trouble in ("one is cut off", "nobody reaches it")
            if trouble == "it loses its data":
                fleet.shared.lose_data()
        attempts = [
            fleet.fetch(agent_id, need=need, replica=replica)
            for agent_id, need, replica in (kinds[turn % len(kinds)] for turn in range(times))
        ]
        if together:
            await asyncio.gather(*attempts)
        else:
            for attempt in attempts:
                await attempt
    return fleet


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(bursts)
def test_no_sixty_minutes_of_the_fleet_hold_more_than_wecom_allows(
    script: list[tuple[int, int, list[tuple[int, Need, int]], str, bool]],
) -> None:
    fleet = asyncio.run(_play(script, store_holds=True))

    assert max(fleet.most_in_an_hour(agent_id) for agent_id in range(1, 7)) <= APP
    assert fleet.most_in_an_hour() <= CORP
    assert (
        max(fleet.most_in_an_hour(agent_id, need=Need.RENEWAL) for agent_id in range(1, 7)) <= APP * 9 // 10
    )
    assert fleet.most_in_an_hour(need=Need.RENEWAL) <= CORP * 9 // 10
    assert fleet.most_in_an_hour(need=Need.REPLACEMENT) <= CORP // 2
    assert max(fleet.most_in_an_hour(agent_id, need=Need.REPLACEMENT) for agent_id in range(1, 7)) <= APP // 2


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(bursts)
def test_whatever_the_store_does_no_replica_alone_passes_a_limit(
    script: list[tuple[int, int, list[tuple[int, Need, int]], str, bool]],
) -> None:
    fleet = asyncio.run(_play(script, store_holds=False))

    for replica in range(2):
        assert max(fleet.most_in_an_hour(agent_id, replica=replica) for agent_id in range(1, 7)) <= APP
        assert fleet.most_in_an_hour(replica=replica) <= CORP


async def test_renewals_leave_a_tenth_and_reports_of_dead_tickets_half_of_that(fleet: Fleet) -> None:
    ordinary = await fleet.fetch_often(APP)
    replacements = await fleet.fetch_often(APP, need=Need.REPLACEMENT)
    first = await fleet.fetch_often(APP, need=Need.FIRST)

    assert (90, 5, 5) == (ordinary, replacements, first)


async def test_reports_alone_use_up_half_of_a_limit(fleet: Fleet) -> None:
    replacements = await fleet.fetch_often(APP, need=Need.REPLACEMENT)
    reserved = await fleet.fetch(need=Need.REPLACEMENT)

    assert 50 == replacements
    assert reserved
    assert reserved.retry_after
    assert 0.5 == fleet.quotas[0].highest()
    for agent_id in range(2, 20):
        for _ in range(APP):
            await fleet.fetch(agent_id, need=Need.REPLACEMENT)
    assert CORP // 2 == len(fleet.passed), "over all apps of the corp"
    assert (40, 10) == (await fleet.fetch_often(APP), await fleet.fetch_often(APP, need=Need.FIRST))


async def test_without_a_store_a_replica_bounds_the_reports_that_it_sees(fleet: Fleet) -> None:
    with_store = await fleet.fetch_often(30, need=Need.REPLACEMENT)
    fleet.stores[0].cut()

    assert (30, 20) == (with_store, await fleet.fetch_often(APP, need=Need.REPLACEMENT))


async def test_fetches_over_several_hours_are_all_allowed_that_wecom_would_allow(fleet: Fleet) -> None:
    passed = 0
    for _ in range(5 * 60):
        passed += await fleet.fetch_often(1)
        await fleet.clock.advance(MINUTE)

    assert 5 * 60 == passed


async def test_two_replicas_that_count_at_the_same_moment_never_pass_together(fleet: Fleet) -> None:
    await fleet.fetch_often(80, need=Need.FIRST)
    refused = await asyncio.gather(*(fleet.fetch(need=Need.FIRST, replica=turn % 2) for turn in range(50)))

    assert fleet.most_in_an_hour() <= APP
    for limit in limits_of(CORP_ID, 1):
        assert [len(fleet.passed)] * 2 == [await quota.used(limit) for quota in fleet.quotas], (
            "who backed off does not count"
        )
    assert 50 > sum(reserved is not None for reserved in refused) >= 30


async def test_a_clock_that_is_a_little_ahead_at_the_end_of_a_slot_lets_nobody_slip_by() -> None:
    fleet = Fleet()
    await fleet.fetch_often(98, need=Need.FIRST)
    ahead = FakeClock(fleet.clock.now() + SLOT)
    late = TicketQuota(fleet.stores[1], ahead)
    await late.take(KEY, Need.FIRST)
    passed = await fleet.fetch_often(5, need=Need.FIRST)

    assert 1 == passed


@pytest.mark.parametrize("trouble", ["none", "the store is away", "it comes back meanwhile"])
async def test_a_fetch_that_is_given_back_leaves_as_much_as_before(fleet: Fleet, trouble: str) -> None:
    if trouble != "none":
        fleet.stores[0].cut()
    for _ in range(2 * APP):
        give_back = await fleet.quotas[0].take(KEY, Need.REPLACEMENT)
        if trouble == "it comes back meanwhile":
            fleet.stores[0].mend()
        await give_back()
        if trouble == "it comes back meanwhile":
            fleet.stores[0].cut()
    fleet.stores[0].mend()

    assert [0, 0] == [await quota.used(limits_of(CORP_ID, 1)[0]) for quota in fleet.quotas]
    assert 50 == await fleet.fetch_often(APP, need=Need.REPLACEMENT, replica=1)
    assert 50 == await fleet.fetch_often(APP, need=Need.FIRST)


async def test_what_others_give_back_meanwhile_lets_no_surplus_pass(fleet: Fleet) -> None:
    async def fetch(turn: int) -> bool:
        """Return whether it reached WeCom: every third one that passes does not."""
        try:
            give_back = await fleet.quotas[turn % 2].take(KEY, Need.FIRST)
        except QuotaReserved:
            return False
        if turn % 3:
            return True
        await give_back()
        return False

    sent = sum(await asyncio.gather(*(fetch(turn) for turn in range(300))))
    for turn in range(300):
        sent += await fetch(turn)

    assert APP == sent
    assert [APP, APP] == [await quota.used(limits_of(CORP_ID, 1)[0]) for quota in fleet.quotas]


async def test_retry_after_is_when_the_hour_has_room_again(fleet: Fleet) -> None:
    await fleet.fetch_often(60)
    await fleet.clock.advance(30 * MINUTE)
    await fleet.fetch_often(30)
    reserved = await fleet.fetch()
    assert reserved is not None
    assert reserved.retry_after is not None
    await fleet.clock.advance(reserved.retry_after - SECOND)
    too_early = await fleet.fetch_often(1)
    await fleet.clock.advance(SECOND)

    assert timedelta(minutes=30) <= reserved.retry_after <= 30 * MINUTE + SLOT
    assert (0, 60) == (too_early, await fleet.fetch_often(100))
    assert {"app": "crm", "corp_id": CORP_ID, "used": "90", "limit": "100"} == reserved.metadata


async def test_retry_after_is_longer_for_whoever_needs_more_to_leave(fleet: Fleet) -> None:
    await fleet.fetch_often(100, need=Need.FIRST)
    ordinary, insisting = await fleet.fetch(), await fleet.fetch(need=Need.FIRST)
    assert ordinary is not None
    assert insisting is not None
    assert insisting.retry_after is not None
    assert ordinary.retry_after is not None

    assert insisting.retry_after <= ordinary.retry_after


async def test_without_a_store_a_replica_counts_alone_and_remembers_what_it_fetched_before(
    fleet: Fleet,
) -> None:
    with_store = await fleet.fetch_often(70, need=Need.FIRST)
    fleet.stores[0].cut()
    alone = await fleet.fetch_often(70, need=Need.FIRST)

    assert (70, 30) == (with_store, alone)


async def test_what_was_counted_alone_is_added_to_what_the_fleet_counted(fleet: Fleet) -> None:
    fleet.stores[0].cut()
    alone = await fleet.fetch_often(40)
    fleet.stores[0].mend()
    others = await fleet.fetch_often(30, replica=1)
    together = await fleet.fetch_often(100)

    assert (40, 30, 20) == (alone, others, together)


async def test_a_store_that_lost_its_data_does_not_make_a_replica_forget(fleet: Fleet) -> None:
    await fleet.fetch_often(90)
    fleet.shared.lose_data()

    assert 0 == await fleet.fetch_often(1)


async def test_apps_of_one_corp_share_the_corps_limit(fleet: Fleet) -> None:
    for agent_id in range(1, 7):
        for _ in range(APP):
            await fleet.fetch(agent_id, need=Need.FIRST)

    assert CORP == len(fleet.passed)
    assert 1.0 == fleet.quotas[0].highest()


@pytest.mark.slow
async def test_a_fetch_is_as_much_work_with_10000_children_as_with_10() -> None:
    fleet = Fleet()

    async def steps_with(children: int) -> int:
        for number in range(children):
            await fleet.quotas[0].take(replace(KEY, corp_id=f"ww-{number}"), Need.RENEWAL)
        with counted_steps() as steps:
            await fleet.quotas[0].take(replace(KEY, corp_id="ww-next"), Need.RENEWAL)
            fleet.quotas[0].highest()
        return steps.count

    few = await steps_with(10)
    many = await steps_with(10_000)
    await fleet.clock.jump(SLOT)
    in_the_next_slot = await steps_with(0)
    await fleet.clock.jump(2 * HOUR)
    when_all_are_old = await steps_with(0)

    assert many < 1.1 * few
    assert in_the_next_slot < 1.2 * few
    assert when_all_are_old < 1.2 * few


class SlowSteps(logging.Handler):
    """The loop's own watch of slow callbacks, by processor time: a busy machine makes no step longer."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = [0.0]

    def emit(self, record: logging.LogRecord) -> None:
        """Note how long the step took."""
        match record.args:
            case (_, float(seconds)):
                self.seconds.append(seconds)

    def watch(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the work on a loop whose clock is the thread's processor time."""
        with asyncio.Runner(debug=True) as runner:
            loop = runner.get_loop()
            loop.time = time.thread_time  # type: ignore[method-assign]
            loop.slow_callback_duration = MOST_SECONDS_OF_A_STEP
            logger = logging.getLogger("asyncio")
            logger.addHandler(self)
            gc.disable()
            try:
                runner.run(work)
            finally:
                gc.enable()
                logger.removeHandler(self)


@pytest.mark.slow
def test_no_step_on_the_loop_takes_a_millisecond_with_10000_children() -> None:
    fleet, slow = Fleet(), SlowSteps()

    async def fetch(first: int, end: int) -> None:
        for number in range(first, end):
            await fleet.quotas[0].take(replace(KEY, corp_id=f"ww-{number}"), Need.RENEWAL)

    async def fetch_in_steps() -> None:
        for pause in (timedelta(0), SLOT, 2 * HOUR):
            await fleet.clock.jump(pause)
            for number in range(100):
                await asyncio.create_task(fetch(number, number + 1))
                fleet.quotas[0].highest()

    asyncio.run(fetch(0, 10_000))
    slow.watch(fetch_in_steps())

    check_took(max(slow.seconds), MOST_SECONDS_OF_A_STEP)


async def test_the_metric_falls_when_nothing_was_fetched_for_an_hour(fleet: Fleet) -> None:
    await fleet.fetch_often(50)
    half = fleet.quotas[0].highest()
    await fleet.clock.advance(HOUR)

    assert (0.5, 0.0) == (half, fleet.quotas[0].highest())


async def _use_up(replica: Replica) -> None:
    for _ in range(APP):
        await outcome(replica.quota.take(TICKET, Need.FIRST))


async def test_what_is_valid_is_served_to_its_last_second_while_the_limit_is_used_up(
    world: EngineWorld, clock: FakeClock, wecom: SimulatedWecom, replica: Replica
) -> None:
    first = await world.run(replica.engine.get(TICKET))
    served = []
    while clock.now() < first.expires_at:
        await world.run(_use_up(replica))
        served.append((await world.run(replica.engine.get(TICKET))).generation)
        await clock.advance(min(5 * MINUTE, max(SECOND, first.expires_at - clock.now() - SECOND)))
    late = await world.run(outcome(replica.engine.get(TICKET)))

    assert {first.generation} == set(served)
    assert isinstance(late, QuotaReserved)
    assert 1 == wecom.count(Endpoint.AGENT_TICKET)


async def test_a_call_that_is_kept_back_is_not_counted(
    world: EngineWorld, clock: FakeClock, wecom: SimulatedWecom, replica: Replica
) -> None:
    wecom.fail(Endpoint.AGENT_TICKET, lambda: WecomUnavailable("away"))
    for _ in range(300):
        await world.run(outcome(replica.engine.get(TICKET)))
    went_out = wecom.count(Endpoint.AGENT_TICKET)
    used = await replica.quota.used(limits_of(OWN.corp_id, OWN.agent_id)[0])
    wecom.recover()
    await clock.advance(MINUTE)

    assert went_out == used < 30
    assert await world.run(replica.engine.get(TICKET))


async def test_what_nobody_has_yet_is_fetched_whatever_others_report(
    world: EngineWorld, clock: FakeClock, wecom: SimulatedWecom, replica: Replica
) -> None:
    reported = OWN.of_kind(CredentialKind.CORP_TICKET)
    held = await world.run(replica.engine.get(reported))
    await clock.jump(MINUTE)
    for _ in range(CORP):
        await outcome(replica.quota.take(held.key, Need.REPLACEMENT))

    with pytest.raises(QuotaReserved):
        await world.run(replica.engine.refresh(reported))
    assert (await world.run(replica.engine.get(TICKET))).value
