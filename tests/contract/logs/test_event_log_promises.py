"""The promises of the event log, in their order."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.events.log import Retention
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.event_log import EventLog
from tests.contract.event_fleets import Broker, EventFleet
from tests.contract.events import (
    ANA,
    APP,
    BEN,
    BRIEF,
    CLEO,
    GROUP,
    KEEP,
    append,
    appended,
    gets_in_time,
    lag,
    positions,
    takes,
    takes_all,
    words,
)
from tests.contract.waiting import Stopwatch, eventually


class TestPromise1EveryGroupGetsEveryEntry:
    async def test_an_entry_is_handed_to_every_group(self, log: EventLog, other_log: EventLog) -> None:
        await appended(log, "a1 b1 a2")

        for group in ("orders", "bills", "stock"):
            assert "a1 b1 a2" == await takes(other_log, ANA, group=group)

    async def test_an_entry_comes_out_as_it_went_in(self, log: EventLog) -> None:
        position = await append(log, "ww1 {}:\0", bytes(range(256)), event_type="中 文")
        [delivery] = await log.claim(ANA)

        entry = delivery.event
        assert (APP, "ww1 {}:\0", "中 文") == (entry.app, entry.corp_id, entry.event_type)
        assert (bytes(range(256)), position, 0) == (entry.payload, entry.position, delivery.attempts)

    async def test_apps_have_nothing_in_common(self, log: EventLog) -> None:
        await append(log, payload=b"a1", app="crm")
        await append(log, payload=b"a2", app="hr")

        assert "a1" == await takes(log, ANA)
        assert "a2" == await takes(log, ANA, app="hr")
        assert "a2" == words(await log.read("hr", "", 10))

    async def test_places_grow_and_sort_as_text(self, log: EventLog, other_log: EventLog) -> None:
        given = [await append(one) for _ in range(50) for one in (log, other_log)]

        assert sorted(set(given)) == given
        assert {20} == {len(position) for position in given}

    async def test_a_long_backlog_comes_piece_by_piece_and_whole(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        given = [await append(log, "abc"[number % 3]) for number in range(1300)]
        got: list[str] = []
        while deliveries := await log.claim(ANA):
            got += positions(deliveries)
            assert len(deliveries) == await groups.acknowledge(APP, GROUP, positions(deliveries))

        assert given == sorted(got)


class TestPromise2UntilItIsAcknowledged:
    async def test_what_is_acknowledged_never_comes_again(
        self, log: EventLog, groups: EventGroups, other_log: EventLog, other_groups: EventGroups
    ) -> None:
        await appended(log, "a1 a2 b1")
        deliveries = await log.claim(ANA)

        assert 3 == await other_groups.acknowledge(APP, GROUP, positions(deliveries))
        await groups.release(APP, GROUP, "ana")
        assert "" == await takes(other_log, BEN)

    async def test_it_is_handed_to_one_member_at_a_time(self, log: EventLog, other_log: EventLog) -> None:
        await appended(log, "a1 a2 b1 c1")

        assert "a1 a2 b1 c1" == await takes(log, ANA)
        assert "" == await takes(other_log, BEN)
        assert "" == await takes(log, ANA)

    async def test_what_is_released_comes_again(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1 b1")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana")

        assert "a1 b1" == await takes(log, BEN)

    async def test_what_was_acknowledged_before_a_release_is_done(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        [first, _] = await appended(log, "a1 a2")
        await log.claim(ANA)
        await groups.acknowledge(APP, GROUP, [first])
        await groups.release(APP, GROUP, "ana")

        assert "a2" == await takes(log, BEN)

    async def test_who_lost_it_may_still_acknowledge_it(self, log: EventLog, groups: EventGroups) -> None:
        [position] = await appended(log, "a1")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana")

        assert 1 == await groups.acknowledge(APP, GROUP, [position])
        assert "" == await takes(log, BEN)

    async def test_what_another_holds_may_be_acknowledged(self, log: EventLog, groups: EventGroups) -> None:
        [position, _] = await appended(log, "a1 a2")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana")
        await log.claim(BEN)

        assert 1 == await groups.acknowledge(APP, GROUP, [position])
        await groups.release(APP, GROUP, "ben")
        assert "a2" == await takes(log, ANA)

    async def test_an_entry_that_was_never_handed_out_may_be_acknowledged(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        [_, second, _] = await appended(log, "a1 a2 a3")
        await log.claim(replace(ANA, max_in_flight=1))

        assert 1 == await groups.acknowledge(APP, GROUP, [second])
        assert 0 == await groups.acknowledge(APP, GROUP, [second])
        assert 2 == (await lag(groups)).open
        assert "a3" == await takes(log, ANA)

    async def test_a_group_that_took_nothing_yet_may_acknowledge(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        [_, second] = await appended(log, "a1 a2")
        await groups.open_group(APP, GROUP, most=1)

        assert 1 == await groups.acknowledge(APP, GROUP, [second])
        assert 1 == (await lag(groups)).open
        assert "a1" == await takes(log, ANA)

    async def test_only_what_was_open_is_counted(self, log: EventLog, groups: EventGroups) -> None:
        [position] = await appended(log, "a1")
        await log.claim(ANA)
        strange = ["", "nonsense", "1-1", "9999999999999-999999", "9" * 40 + "-1", "²-1", f"{APP}:{position}"]

        assert 1 == await groups.acknowledge(APP, GROUP, [*strange, position, position])
        assert 0 == await groups.acknowledge(APP, GROUP, [position])
        assert 0 == await groups.acknowledge(APP, "unknown", [position])
        assert 0 == await groups.acknowledge(APP, GROUP, [])

    async def test_groups_acknowledge_for_themselves(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1")
        await groups.acknowledge(APP, GROUP, positions(await log.claim(ANA)))

        assert "a1" == await takes(log, ANA, group="bills")

    async def test_thousands_are_acknowledged_at_once(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1 b1 " * 600)
        got = positions(await takes_all(log, replace(ANA, max_in_flight=2000)))

        assert given == sorted(got)
        assert 1200 == await groups.acknowledge(APP, GROUP, got)


class TestPromise3OrderOfACorp:
    async def test_the_entries_of_a_corp_come_in_order(self, log: EventLog) -> None:
        await appended(log, "a1 a2 b1 a3 b2")

        assert "a1 a2" == await takes(log, ANA, max_in_flight=2)
        assert "b1 b2" == await takes(log, BEN)
        assert "a3" == await takes(log, ANA)

    async def test_while_one_is_held_the_others_go_to_the_same_member(self, log: EventLog) -> None:
        await appended(log, "a1")
        await log.claim(ANA)
        await appended(log, "a2 b1")

        assert "b1" == await takes(log, BEN)
        assert "a2" == await takes(log, ANA)

    async def test_who_acknowledged_all_of_a_corp_has_no_claim_to_it(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        [first] = await appended(log, "a1")
        await log.claim(ANA)
        await groups.acknowledge(APP, GROUP, [first])
        await appended(log, "a2")

        assert "a2" == await takes(log, BEN)

    async def test_what_waited_for_its_owner_is_free_when_the_owner_is_done(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        [first, *_] = await appended(log, "a1 a2 a3")
        await log.claim(replace(ANA, max_in_flight=1))
        assert "" == await takes(log, BEN)
        await groups.acknowledge(APP, GROUP, [first])

        assert "a2 a3" == await takes(log, BEN)

    async def test_what_comes_again_comes_before_what_follows(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        await appended(log, "a1 a2 a3 a4")
        await log.claim(replace(ANA, max_in_flight=2))
        assert "" == await takes(log, BEN)
        await groups.release(APP, GROUP, "ana")
        await appended(log, "a5")

        assert "a1 a2 a3 a4 a5" == await takes(log, BEN)

    async def test_a_stuck_corp_is_not_in_the_way_of_others(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1")
        await log.claim(replace(ANA, max_in_flight=1))
        await appended(log, "a2 " * 1200 + "b1 a3 c1")

        assert "b1 c1" == await takes(log, BEN)
        assert 1204 == (await lag(groups)).open
        assert 100 == len(await log.claim(replace(ANA, max_in_flight=101)))

    async def test_the_oldest_comes_first_among_corps_that_wait(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        await appended(log, "b1 a1 c1 a2 b2 c2")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana")

        assert "b1" == await takes(log, BEN, max_in_flight=1)
        assert "a1" == await takes(log, CLEO, max_in_flight=1)
        assert "c1" == await takes(log, replace(ANA, name="dan"), max_in_flight=1)

    async def test_corps_whose_names_begin_alike_are_different(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        for corp_id in ("ww", "ww1", "ww1:", "1:ww", ""):
            await append(log, corp_id, corp_id.encode())
        one = await log.claim(replace(ANA, max_in_flight=2))
        two = await log.claim(replace(BEN, max_in_flight=2))

        assert ["ww", "ww1"] == [delivery.event.corp_id for delivery in one]
        assert ["ww1:", "1:ww"] == [delivery.event.corp_id for delivery in two]
        await groups.acknowledge(APP, GROUP, positions(one))
        await append(log, "ww1:", b"more")
        assert "" == await takes(log, ANA, max_in_flight=1)
        assert "more" == await takes(log, BEN, max_in_flight=3)


class TestPromise4Room:
    async def test_a_member_holds_no_more_than_it_has_room_for(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        given = await appended(log, "a1 b1 a2 b2 a3")

        assert "a1 b1" == await takes(log, ANA, max_in_flight=2)
        assert "" == await takes(log, ANA, max_in_flight=2)
        await groups.acknowledge(APP, GROUP, given[:1])
        assert 1 == len(await log.claim(replace(ANA, max_in_flight=2)))
        assert "" == await takes(log, ANA, max_in_flight=2)

    async def test_room_that_shrank_takes_nothing_away(self, log: EventLog) -> None:
        await appended(log, "a1 a2 a3")
        await log.claim(replace(ANA, max_in_flight=2))

        assert "" == await takes(log, ANA, max_in_flight=1)
        assert "a3" == await takes(log, ANA, max_in_flight=3)


class TestPromise5WhoIsGone:
    async def test_what_it_held_is_free_again_and_no_try_is_spent(self, log: EventLog) -> None:
        await appended(log, "a1 b1")
        await log.claim(replace(ANA, alive_for=BRIEF))
        deliveries = await gets_in_time(log, BEN)

        assert "a1 b1" == words(deliveries)
        assert [0, 0] == [delivery.attempts for delivery in deliveries]

    async def test_who_takes_is_not_gone(self, log: EventLog) -> None:
        await appended(log, "a1 a2")
        await log.claim(replace(ANA, max_in_flight=1))

        assert "a2" == await takes(log, ANA, max_in_flight=2, alive_for=BRIEF)
        assert "a1 a2" == words(await gets_in_time(log, BEN))

    async def test_who_is_alive_keeps_what_it_holds(self, log: EventLog) -> None:
        await appended(log, "a1")
        await log.claim(ANA)
        await appended(log, "b1")
        await log.claim(replace(BEN, alive_for=BRIEF))

        assert "b1" == words(await gets_in_time(log, CLEO))
        assert "" == await takes(log, CLEO)

    async def test_who_was_gone_begins_anew(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1")
        gone = replace(ANA, alive_for=BRIEF)
        await log.claim(gone)
        assert "a1" == words(await gets_in_time(log, BEN))

        assert "" == await takes(log, ANA)
        await groups.release(APP, GROUP, "ben")
        assert "a1" == await takes(log, ANA)

    async def test_who_was_gone_and_comes_first_gets_the_same_again(self, log: EventLog) -> None:
        await appended(log, "a1")
        await log.claim(replace(ANA, alive_for=timedelta(milliseconds=1)))

        [delivery] = await gets_in_time(log, ANA, alive_for=timedelta(milliseconds=1))
        assert 0 == delivery.attempts


class TestPromise6WhoAcknowledgesNothing:
    async def test_it_loses_what_it_holds(self, log: EventLog) -> None:
        await appended(log, "a1 b1")
        await log.claim(replace(ANA, ack_timeout=BRIEF))
        deliveries = await gets_in_time(log, BEN)

        assert "a1 b1" == words(deliveries)
        assert [1, 0] == [delivery.attempts for delivery in deliveries]

    async def test_it_finds_that_out_itself_and_others_come_first(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        await appended(log, "a1 b1")
        late = replace(ANA, ack_timeout=BRIEF)
        await log.claim(late)

        async def is_late() -> bool:
            assert "" == await takes(log, late)
            return (await lag(groups)).open == 2 and "a1 b1" == await takes(log, BEN)

        await eventually(is_late)

    async def test_alone_it_gets_them_again_afterwards(self, log: EventLog) -> None:
        await appended(log, "a1")
        late = replace(ANA, ack_timeout=BRIEF)
        await log.claim(late)

        [delivery] = await gets_in_time(log, late)
        assert 1 == delivery.attempts

    async def test_who_acknowledges_some_keeps_the_others(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1 " * 100)
        watch, handled = Stopwatch(), 0
        await log.claim(replace(ANA, ack_timeout=timedelta(milliseconds=400)))
        while watch.seconds < 0.9 and handled < len(given):
            assert "" == await takes(log, BEN)
            assert 1 == await groups.acknowledge(APP, GROUP, [given[handled]])
            handled += 1
            await asyncio.sleep(0.02)

        assert watch.seconds > 0.4, "the test is about a longer time"

    async def test_who_gets_more_gets_no_more_time(self, log: EventLog) -> None:
        await appended(log, "a1")
        late = replace(ANA, ack_timeout=BRIEF, max_in_flight=100_000)
        await log.claim(late)

        async def goes_on() -> str:
            await appended(log, "b1")
            await log.claim(late)
            return await takes(log, BEN)

        await eventually(goes_on, lambda got: "a1" in got)

    async def test_who_holds_nothing_has_nothing_to_acknowledge(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        quick = replace(ANA, ack_timeout=BRIEF)
        [position] = await appended(log, "a1")
        await log.claim(quick)
        assert 1 == await groups.acknowledge(APP, GROUP, [position])
        await asyncio.sleep(2 * BRIEF.total_seconds())
        await appended(log, "a2")
        [delivery] = await log.claim(quick)

        assert (b"a2", 0) == (delivery.event.payload, delivery.attempts)

    @pytest.mark.parametrize(("acks_within", "alive_for", "attempts"), [(1, 10, 1), (10, 1, 0)])
    async def test_of_being_gone_and_being_late_what_came_first_counts(
        self, log: EventLog, acks_within: int, alive_for: int, attempts: int
    ) -> None:
        await appended(log, "a1")
        soon, later = timedelta(milliseconds=acks_within), timedelta(milliseconds=alive_for)
        await log.claim(replace(ANA, ack_timeout=soon, alive_for=later))
        await asyncio.sleep(0.02)

        assert [attempts] == [delivery.attempts for delivery in await log.claim(BEN)]


class TestPromise7Tries:
    async def test_the_oldest_that_was_released_spends_one(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "b1 a1 b2")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana")

        attempts = {delivery.event.payload: delivery.attempts for delivery in await log.claim(BEN)}
        assert {b"b1": 1, b"a1": 0, b"b2": 0} == attempts

    async def test_an_entry_that_spent_all_is_dead_and_not_in_the_way(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        await appended(log, "a1 a2 b1")
        for expected in ("a1 a2 b1", "a1 a2 b1"):
            assert sorted(expected.split()) == sorted((await takes(log, ANA, max_attempts=2)).split())
            await groups.release(APP, GROUP, "ana")

        assert "a1" == words(await log.dead(APP, GROUP, "", 10))
        assert "a2 b1" == await takes(log, ANA)
        assert (2, 1) == ((await lag(groups)).open, (await lag(groups)).dead)

    async def test_an_entry_dies_of_late_acknowledgements_too(self, log: EventLog) -> None:
        await appended(log, "a1 a2")
        await log.claim(replace(ANA, ack_timeout=BRIEF, max_attempts=1))

        assert "a2" == words(await gets_in_time(log, BEN))
        assert "a1" == words(await log.dead(APP, GROUP, "", 10))

    async def test_a_group_gives_up_for_itself(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1")
        await log.claim(replace(ANA, max_attempts=1))
        await groups.release(APP, GROUP, "ana")

        assert "a1" == await takes(log, ANA, group="bills")
        assert [] == await log.dead(APP, "bills", "", 10)

    async def test_who_holds_nothing_releases_nothing(self, log: EventLog, groups: EventGroups) -> None:
        await groups.release(APP, GROUP, "nobody")
        await appended(log, "a1")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ben")

        assert "" == await takes(log, BEN)

    async def test_what_is_released_twice_spends_one_try(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana")
        await groups.release(APP, GROUP, "ana")

        assert [1] == [delivery.attempts for delivery in await log.claim(BEN)]


class TestPromise8Types:
    async def test_only_the_wanted_types_come_and_the_others_are_handled(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        for event_type in ("text", "image", "text", "voice"):
            await append(log, payload=event_type.encode(), event_type=event_type)

        assert "text text" == await takes(log, ANA, event_types=frozenset({"text"}))
        assert 2 == (await lag(groups)).open
        await groups.release(APP, GROUP, "ana")
        assert "text text" == await takes(log, ANA)

    async def test_what_waits_is_judged_by_who_takes_it(self, log: EventLog, groups: EventGroups) -> None:
        [_, second] = [await append(log, "a", kind.encode(), event_type=kind) for kind in ("text", "image")]
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana")

        assert "text" == await takes(log, BEN, event_types=frozenset({"text"}))
        assert 0 == await groups.acknowledge(APP, GROUP, [second])

    async def test_a_long_run_of_unwanted_ones_is_passed_at_once(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        for _ in range(1100):
            await append(log, event_type="image")
        await append(log, payload=b"a1", event_type="text")

        assert "a1" == await takes(log, ANA, event_types=frozenset({"text", "voice"}))
        assert 1 == (await lag(groups)).open


class TestPromise9NewGroups:
    async def test_it_begins_with_the_oldest_that_is_kept(self, log: EventLog) -> None:
        await appended(log, "a1 a2 a3 a4", keep=replace(KEEP, count=2))

        assert "a3 a4" == await takes(log, ANA)

    async def test_it_may_be_there_before_the_first_event(self, log: EventLog) -> None:
        assert "" == await takes(log, ANA)
        await appended(log, "a1")

        assert "a1" == await takes(log, BEN)

    async def test_a_forgotten_group_is_a_new_one(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1")
        await groups.acknowledge(APP, GROUP, positions(await log.claim(ANA)))
        await groups.forget_groups(APP, timedelta(hours=1))
        assert "" == await takes(log, ANA)

        async def forgets() -> bool:
            await groups.forget_groups(APP, timedelta(milliseconds=1))
            return not await groups.lags(APP)

        await eventually(forgets)
        assert "a1" == await takes(log, ANA)


class TestPromise10Retention:
    @pytest.fixture
    def two(self) -> Retention:
        return replace(KEEP, count=2)

    async def test_no_more_than_the_count_is_kept(self, log: EventLog, two: Retention) -> None:
        await appended(log, "a1 a2 a3", keep=two)

        assert "a2 a3" == words(await log.read(APP, "", 10))

    async def test_what_is_too_old_is_removed(self, log: EventLog) -> None:
        await appended(log, "a1")

        async def kept() -> str:
            await appended(log, "a2", keep=replace(KEEP, age=timedelta(milliseconds=5)))
            return words(await log.read(APP, "", 1))

        await eventually(kept, lambda word: word == "a2")

    async def test_it_needs_no_new_entry(self, log: EventLog, groups: EventGroups, two: Retention) -> None:
        given = await appended(log, "a1 b1 a2")
        await log.claim(ANA)
        await groups.trim(APP, two)

        assert "b1 a2" == words(await log.read(APP, "", 9))
        assert 2 == (await lag(groups)).open
        assert 2 == await groups.acknowledge(APP, GROUP, given)

    async def test_a_log_that_has_become_empty_goes_on(self, log: EventLog, groups: EventGroups) -> None:
        await groups.trim("hr", KEEP)
        [*_, newest] = await appended(log, "a1 b1 a2")
        await log.claim(replace(ANA, max_in_flight=1))

        async def is_empty() -> bool:
            await groups.trim(APP, replace(KEEP, age=timedelta(milliseconds=1)))
            return not await log.read(APP, "", 9)

        await eventually(is_empty)
        await groups.trim(APP, KEEP)
        assert (0, None) == ((await lag(groups)).open, (await lag(groups)).oldest)
        assert await append(log, payload=b"a3") > newest
        assert 1 == (await lag(groups)).open
        assert "a3" == await takes(log, BEN)
        assert "a3" == await takes(log, BEN, group="bills")
        assert [] == await groups.lags("hr")

    async def test_what_waits_is_dropped(self, log: EventLog, groups: EventGroups, two: Retention) -> None:
        await appended(log, "a1 b1")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana")
        await appended(log, "c1", keep=two)

        assert 2 == (await lag(groups)).open
        assert "b1 c1" == await takes(log, BEN)

    async def test_what_is_held_is_dropped_and_its_corp_is_free(
        self, log: EventLog, groups: EventGroups, two: Retention
    ) -> None:
        [first] = await appended(log, "a1")
        await log.claim(replace(ANA, max_in_flight=1))
        await appended(log, "a2 a3", keep=two)

        assert 2 == (await lag(groups)).open
        assert 0 == await groups.acknowledge(APP, GROUP, [first])
        assert "a2 a3" == await takes(log, BEN)

    async def test_what_is_held_and_dropped_costs_nothing(
        self, log: EventLog, groups: EventGroups, two: Retention
    ) -> None:
        await appended(log, "a1")
        late = replace(ANA, ack_timeout=timedelta(milliseconds=20), max_attempts=1)
        await log.claim(replace(late, max_in_flight=1))
        await appended(log, "a2 a3", keep=two)
        await asyncio.sleep(0.03)
        deliveries = await log.claim(replace(late, ack_timeout=ANA.ack_timeout))

        assert "a2 a3" == words(deliveries)
        await groups.release(APP, GROUP, "ana")
        assert "a2" == words(await log.dead(APP, GROUP, "", 10))

    async def test_what_is_dead_is_dropped(self, log: EventLog, groups: EventGroups, two: Retention) -> None:
        [first] = await appended(log, "a1")
        await log.claim(replace(ANA, max_attempts=1))
        await groups.release(APP, GROUP, "ana")
        await appended(log, "a2 a3", keep=two)

        assert [] == await log.dead(APP, GROUP, "", 10)
        assert 0 == await groups.retry(APP, GROUP, [first])
        assert (2, 0) == ((await lag(groups)).open, (await lag(groups)).dead)

    async def test_what_nobody_looked_at_is_not_counted(
        self, log: EventLog, groups: EventGroups, two: Retention
    ) -> None:
        await log.claim(ANA)
        given = await appended(log, "a1 a2 a3 a4", keep=replace(KEEP, count=3))
        await groups.acknowledge(APP, GROUP, given)
        await appended(log, "a5 a6 a7", keep=two)

        assert 2 == (await lag(groups)).open
        assert "a6 a7" == await takes(log, ANA)

    async def test_a_long_backlog_may_be_dropped_while_it_waits(
        self, log: EventLog, groups: EventGroups, two: Retention
    ) -> None:
        await appended(log, "a1 " * 1100 + "b1")
        await takes_all(log, replace(ANA, max_in_flight=2000))
        await groups.release(APP, GROUP, "ana")
        await appended(log, "c1 c2", keep=two)

        assert 2 == (await lag(groups)).open
        assert "c1 c2" == await takes(log, BEN)


class TestPromise11HowOftenItWasHandedOut:
    @staticmethod
    async def counts(log: EventLog) -> dict[str, int]:
        deliveries = await gets_in_time(log, BEN)
        return {delivery.event.payload.decode(): delivery.count for delivery in deliveries}

    async def test_the_first_time_is_one(self, log: EventLog) -> None:
        await appended(log, "a1 b1 a2")

        assert {"a1": 1, "b1": 1, "a2": 1} == await self.counts(log)

    @pytest.mark.parametrize("counts_as_attempt", [True, False])
    async def test_what_was_released_counts_though_it_is_no_attempt(
        self, log: EventLog, groups: EventGroups, counts_as_attempt: bool
    ) -> None:
        await appended(log, "a1 b1")
        await log.claim(ANA)
        await appended(log, "b2")
        await groups.release(APP, GROUP, "ana", counts_as_attempt=counts_as_attempt)

        assert {"a1": 2, "b1": 2, "b2": 1} == await self.counts(log)

    async def test_what_a_member_held_that_is_gone_counts(self, log: EventLog) -> None:
        await appended(log, "a1 b1")
        await log.claim(replace(ANA, alive_for=BRIEF))

        assert {"a1": 2, "b1": 2} == await self.counts(log)

    async def test_what_a_member_lost_for_its_silence_counts(self, log: EventLog) -> None:
        await appended(log, "a1 b1")
        await log.claim(replace(ANA, ack_timeout=BRIEF))

        assert {"a1": 2, "b1": 2} == await self.counts(log)

    async def test_what_comes_to_life_again_goes_on_counting(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        given = await appended(log, "a1")
        await log.claim(replace(ANA, max_attempts=1))
        await groups.release(APP, GROUP, "ana")
        assert 1 == await groups.retry(APP, GROUP, given)

        assert {"a1": 2} == await self.counts(log)

    async def test_what_was_given_up_goes_on_counting(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana")
        await log.claim(CLEO)
        assert 1 == await groups.give_up(APP, GROUP, given)
        assert 1 == await groups.retry(APP, GROUP, given)

        assert {"a1": 2} == await self.counts(log)

    async def test_what_was_released_unseen_does_not_count(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1 b1 a2")
        await log.claim(ANA)
        await groups.release(APP, GROUP, "ana", unseen=[given[1], given[2], "9999999999999-999999"])

        assert {"a1": 2, "b1": 1, "a2": 1} == await self.counts(log)

    async def test_a_new_beginning_starts_from_one(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1")
        await log.claim(ANA)
        await groups.rewind(APP, GROUP, given[0])

        assert {"a1": 1} == await self.counts(log)

    async def test_each_group_counts_for_itself(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1")
        await log.claim(replace(ANA, group="bills"))
        await groups.release(APP, "bills", "ana")

        assert {"a1": 1} == await self.counts(log)


async def test_a_log_that_lost_everything_begins_anew(event_fleet: EventFleet, broker: Broker) -> None:
    log, groups = broker.log, broker.groups
    before = await appended(log, "a1 a2")
    await log.claim(ANA)
    await event_fleet.lose_data()

    assert 0 == await groups.acknowledge(APP, GROUP, before)
    assert "" == await takes(log, ANA)
    [position] = await appended(log, "a3")
    assert "a3" == await takes(log, ANA)
    assert 1 == await groups.acknowledge(APP, GROUP, [position])
