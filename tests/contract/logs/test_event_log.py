"""What an event log does beside its promises: repeats, notices, observing, rewinding, giving up, lags."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from broker.domain.events.event import app_and_position
from broker.domain.events.log import Entry, topic
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.store import Notice, NoticeKind
from tests.contract.event_fleets import Broker, EventFleet
from tests.contract.events import (
    ANA,
    APP,
    BEN,
    BRIEF,
    GROUP,
    KEEP,
    append,
    appended,
    gets_in_time,
    lag,
    positions,
    takes,
    words,
)
from tests.contract.making import LONG
from tests.contract.waiting import eventually, heard_until_now, listening

AVAILABLE = Notice(NoticeKind.AVAILABLE, topic(APP))
EVENT = Entry(APP, "a", "text", b"a1")


class TestRepeats:
    async def test_an_event_is_appended_once(self, log: EventLog, other_log: EventLog) -> None:
        first, *others = [
            await one.append(EVENT, key="same", once_in=LONG, keep=KEEP, notify=[])
            for one in (log, other_log, log)
        ]

        assert first
        assert ["", ""] == others
        assert "a1" == words(await log.read(APP, "", 10))

    async def test_of_many_at_once_one_is_appended(self, log: EventLog, other_log: EventLog) -> None:
        given = await asyncio.gather(
            *[
                one.append(EVENT, key="same", once_in=LONG, keep=KEEP, notify=[])
                for _ in range(20)
                for one in (log, other_log)
            ]
        )

        assert 39 == given.count("")

    async def test_after_a_while_it_is_another_event(self, log: EventLog) -> None:
        async def again() -> str:
            return await log.append(EVENT, key="same", once_in=BRIEF, keep=KEEP, notify=[])

        assert await again()
        assert await eventually(again)

    async def test_the_key_of_one_app_is_not_that_of_another(self, log: EventLog) -> None:
        for app in ("crm", "hr"):
            entry = replace(EVENT, app=app)
            assert await log.append(entry, key="same", once_in=LONG, keep=KEEP, notify=[])

    async def test_a_repeat_tells_nobody(self, broker: Broker) -> None:
        async with listening(broker.store) as ear:
            for _ in range(2):
                await broker.log.append(EVENT, key="same", once_in=LONG, keep=KEEP, notify=["bell"])

            assert 1 == len(await heard_until_now(ear, broker.store))


class TestNotices:
    async def test_everybody_hears_of_an_event(self, event_fleet: EventFleet, broker: Broker) -> None:
        other = await event_fleet.connect()
        async with listening(other.store) as ear:
            position = await append(broker.log, notify=["events:crm", "share list:crm"])
            came = int(position.partition("-")[0])

            for name in ("events:crm", "share list:crm"):
                assert Notice(NoticeKind.APPENDED, name, came) == await ear.next()
            assert "a1" == await takes(other.log, ANA)
        assert abs(datetime.now(UTC).timestamp() - came / 1000) < 10

    async def test_who_is_done_with_a_corp_calls_for_others_if_something_waits(self, broker: Broker) -> None:
        log, groups = broker.log, broker.groups
        [first, _, other] = await appended(log, "a1 a2 b1")
        await log.claim(replace(ANA, max_in_flight=1))
        await log.claim(BEN)
        async with listening(broker.store) as ear:
            await groups.acknowledge(APP, GROUP, [other])
            assert [] == await heard_until_now(ear, broker.store)
            await groups.acknowledge(APP, GROUP, [first])
            assert [AVAILABLE] == await heard_until_now(ear, broker.store)
            assert "a2" == await takes(log, BEN)

    async def test_who_was_full_hears_that_half_of_its_room_is_free(self, broker: Broker) -> None:
        log, groups = broker.log, broker.groups
        await appended(log, "a1 " * 40)
        full = replace(ANA, max_in_flight=20)
        deliveries = await log.claim(full)
        async with listening(broker.store) as ear:
            for position in positions(deliveries)[:9]:
                await groups.acknowledge(APP, GROUP, [position])
            assert [] == await heard_until_now(ear, broker.store)
            await groups.acknowledge(APP, GROUP, positions(deliveries)[9:10])
            assert [AVAILABLE] == await heard_until_now(ear, broker.store)
            assert 10 == len(await log.claim(full))

    async def test_a_thousand_acknowledgements_are_no_storm(self, broker: Broker) -> None:
        log, groups = broker.log, broker.groups
        await appended(log, "a1 b1 c1 d1 " * 250)
        async with listening(broker.store) as ear:
            while deliveries := await log.claim(ANA):
                for position in positions(deliveries):
                    await groups.acknowledge(APP, GROUP, [position])
            heard = await heard_until_now(ear, broker.store)

        assert {AVAILABLE} == set(heard)
        assert len(heard) < 20

    async def test_a_release_is_told_if_something_was_held(self, broker: Broker) -> None:
        log, groups = broker.log, broker.groups
        await appended(log, "a1")
        await log.claim(ANA)
        await log.claim(BEN)
        async with listening(broker.store) as ear:
            await groups.release(APP, GROUP, "ben")
            await groups.release(APP, GROUP, "nobody")
            assert [] == await heard_until_now(ear, broker.store)
            await groups.release(APP, GROUP, "ana")
            assert [AVAILABLE] == await heard_until_now(ear, broker.store)

    async def test_who_finds_out_that_it_is_late_calls_for_others(self, broker: Broker) -> None:
        log = broker.log
        await appended(log, "a1")
        late = replace(ANA, ack_timeout=timedelta(milliseconds=300))
        await log.claim(late)
        async with listening(broker.store) as ear:

            async def is_told() -> bool:
                assert [] == await log.claim(late)
                return await heard_until_now(ear, broker.store) == [AVAILABLE]

            await eventually(is_told)

    async def test_who_leaves_something_for_others_calls_for_them(self, broker: Broker) -> None:
        log = broker.log
        await appended(log, "a1 b1")
        await log.claim(replace(ANA, alive_for=timedelta(milliseconds=1)))
        async with listening(broker.store) as ear:
            [_] = await gets_in_time(log, BEN, max_in_flight=1)
            assert [AVAILABLE] == await heard_until_now(ear, broker.store)

    async def test_who_takes_everything_calls_for_nobody(self, broker: Broker) -> None:
        log = broker.log
        await appended(log, "a1 b1")
        await log.claim(replace(ANA, alive_for=timedelta(milliseconds=1)))
        async with listening(broker.store) as ear:
            assert 2 == len(await gets_in_time(log, BEN))
            assert [] == await heard_until_now(ear, broker.store)

    async def test_a_rewind_and_a_retry_are_told(self, broker: Broker) -> None:
        log, groups = broker.log, broker.groups
        [position] = await appended(log, "a1")
        await log.claim(replace(ANA, max_attempts=1))
        await groups.release(APP, GROUP, "ana")
        async with listening(broker.store) as ear:
            await groups.retry(APP, GROUP, ["1-1"])
            assert [] == await heard_until_now(ear, broker.store)
            await groups.retry(APP, GROUP, [position])
            await groups.rewind(APP, GROUP, position)
            assert [AVAILABLE, AVAILABLE] == await heard_until_now(ear, broker.store)


class TestObserving:
    async def test_it_reads_on_after_a_place(self, log: EventLog) -> None:
        given = await appended(log, "a1 b1 a2")

        assert "a1 b1" == words(await log.read(APP, "", 2))
        assert "a2" == words(await log.read(APP, given[1], 2))
        assert [] == await log.read(APP, given[2], 2)
        assert [] == await log.read("unknown", "", 2)

    async def test_it_takes_nothing_from_groups(self, log: EventLog) -> None:
        await appended(log, "a1")
        await log.read(APP, "", 10)

        assert "a1" == await takes(log, ANA)

    async def test_an_id_that_is_written_shorter_is_the_same_place(self, log: EventLog) -> None:
        [first, _] = await appended(log, "a1 a2")
        milliseconds, number = (int(part) for part in first.split("-"))
        _, short = app_and_position("event_id", f"{APP}:{milliseconds}-{number}")

        assert "a2" == words(await log.read(APP, short, 10))


class TestRewinding:
    async def test_a_group_begins_anew_at_the_place(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1 b1 a2 b2")
        await groups.acknowledge(APP, GROUP, positions(await log.claim(ANA)))
        await groups.rewind(APP, GROUP, given[1])

        assert 3 == (await lag(groups)).open
        assert "b1 a2 b2" == await takes(log, BEN)

    async def test_nothing_is_held_waiting_or_dead_any_more(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1 b1 b2 c1")
        await log.claim(replace(ANA, max_attempts=1))
        await groups.release(APP, GROUP, "ana")
        await log.claim(replace(BEN, max_in_flight=1))
        await groups.rewind(APP, GROUP, given[0])

        assert [] == await log.dead(APP, GROUP, "", 10)
        deliveries = await log.claim(ANA)
        assert "a1 b1 b2 c1" == words(deliveries)
        assert {0} == {delivery.attempts for delivery in deliveries}

    async def test_a_place_ahead_of_the_log_is_its_end(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1")
        await groups.rewind(APP, GROUP, "9999999999999-000000")
        assert 0 == (await lag(groups)).open
        await appended(log, "a2")

        assert "a2" == await takes(log, ANA)

    async def test_a_place_before_the_log_is_its_beginning(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1 a2 a3", keep=replace(KEEP, count=2))
        for position in ("0000000000001-000000", "1-1", ""):
            await groups.rewind(APP, GROUP, position)
            assert 2 == (await lag(groups)).open
            assert "a2 a3" == await takes(log, ANA)

    async def test_a_time_is_a_place(self, log: EventLog, groups: EventGroups) -> None:
        [first] = await appended(log, "a1")
        milliseconds = int(first.partition("-")[0])
        await groups.rewind(APP, GROUP, f"{milliseconds:013d}-000000")
        assert "a1" == await takes(log, ANA)
        await groups.rewind(APP, GROUP, f"{milliseconds + 1:013d}-000000")

        assert "" == await takes(log, ANA)

    async def test_an_empty_log_has_an_end_too(self, log: EventLog, groups: EventGroups) -> None:
        await groups.rewind(APP, GROUP, "1-1")
        assert "" == await takes(log, ANA)
        await appended(log, "a1")

        assert "a1" == await takes(log, ANA)

    async def test_other_groups_go_on(self, log: EventLog, groups: EventGroups) -> None:
        [position] = await appended(log, "a1")
        await log.claim(ANA)
        await groups.rewind(APP, "bills", position)

        assert "" == await takes(log, BEN)
        assert "a1" == await takes(log, BEN, group="bills")

    async def test_what_was_acknowledged_ahead_comes_again(self, log: EventLog, groups: EventGroups) -> None:
        [first, second] = await appended(log, "a1 a2")
        await log.claim(replace(ANA, max_in_flight=1))
        await groups.acknowledge(APP, GROUP, [second])
        await groups.rewind(APP, GROUP, first)

        assert "a1 a2" == await takes(log, BEN)


class TestDeadEntries:
    async def kill(self, log: EventLog, groups: EventGroups, text: str) -> list[str]:
        given = await appended(log, text)
        for _ in given:
            await log.claim(replace(ANA, max_attempts=1))
            await groups.release(APP, GROUP, "ana")
        return given

    async def test_they_are_listed_page_by_page(self, log: EventLog, groups: EventGroups) -> None:
        given = await self.kill(log, groups, "a1 b1 a2")

        assert "a1 b1" == words(await log.dead(APP, GROUP, "", 2))
        assert "a2" == words(await log.dead(APP, GROUP, given[1], 2))
        assert [] == await log.dead(APP, GROUP, given[2], 2)
        assert [] == await log.dead(APP, "unknown", "", 2)

    async def test_a_retried_one_comes_again_in_order_and_with_all_its_tries(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        [first, _] = await self.kill(log, groups, "a1 a2")
        await appended(log, "a3")

        assert 1 == await groups.retry(APP, GROUP, [first, first, "1-1", ""])
        deliveries = await log.claim(ANA)
        assert "a1 a3" == words(deliveries)
        assert [0, 0] == [delivery.attempts for delivery in deliveries]
        assert "a2" == words(await log.dead(APP, GROUP, "", 10))

    async def test_a_retried_one_goes_to_the_owner_of_its_corp(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        [first] = await self.kill(log, groups, "a1")
        await appended(log, "a2")
        await log.claim(BEN)
        await groups.retry(APP, GROUP, [first])

        assert "" == await takes(log, ANA)
        assert "a1" == await takes(log, BEN)

    async def test_an_acknowledged_one_is_dropped_for_good(self, log: EventLog, groups: EventGroups) -> None:
        [first] = await self.kill(log, groups, "a1")

        assert 1 == await groups.acknowledge(APP, GROUP, [first])
        assert [] == await log.dead(APP, GROUP, "", 10)
        assert 0 == await groups.retry(APP, GROUP, [first])

    async def test_only_dead_ones_are_retried(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1 a2")
        await log.claim(replace(ANA, max_in_flight=1))

        assert 0 == await groups.retry(APP, GROUP, given)
        assert 0 == await groups.retry(APP, "unknown", given)


class TestLags:
    async def test_a_group_that_nobody_knows_has_none(self, log: EventLog, groups: EventGroups) -> None:
        await appended(log, "a1")

        assert [] == await groups.lags(APP)

    async def test_what_is_held_and_what_nobody_looked_at_is_open(
        self, log: EventLog, groups: EventGroups
    ) -> None:
        given = await appended(log, "a1 a2 b1 a3")
        await log.claim(replace(ANA, max_in_flight=1))
        await log.claim(replace(BEN, max_in_flight=1))
        assert 4 == (await lag(groups)).open
        await groups.acknowledge(APP, GROUP, [given[0], given[3]])

        assert 2 == (await lag(groups)).open

    async def test_the_oldest_open_one_tells_how_far_behind(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1 b1 a2 c1")
        came = [datetime.fromtimestamp(int(position[:13]) / 1000, UTC) for position in given]
        await log.claim(replace(ANA, max_in_flight=1))
        for done, oldest in zip((1, 0, 2, 3), (came[0], came[2], came[3], None), strict=True):
            await groups.acknowledge(APP, GROUP, [given[done]])
            assert oldest == (await lag(groups)).oldest

    async def test_each_group_has_its_own(self, log: EventLog, groups: EventGroups) -> None:
        given = await appended(log, "a1 a2")
        for group in ("one", "two"):
            await log.claim(replace(ANA, group=group))
        await groups.acknowledge(APP, "two", given[:1])

        assert [("one", 2), ("two", 1)] == [(lag.group, lag.open) for lag in await groups.lags(APP)]


class TestManyAtOnce:
    async def test_members_on_all_brokers_share_the_work_and_keep_the_order(
        self, event_fleet: EventFleet, log: EventLog
    ) -> None:
        given = await appended(log, " ".join(f"{corp}{number}" for number in range(40) for corp in "abcdef"))
        done: list[str] = []
        order: dict[str, list[str]] = {corp: [] for corp in "abcdef"}

        async def work(name: str) -> None:
            own = await event_fleet.connect()
            while len(done) < len(given):
                for delivery in await own.log.claim(replace(ANA, name=name, max_in_flight=7)):
                    order[delivery.event.corp_id].append(delivery.event.position)
                    done.append(delivery.event.position)
                    assert 1 == await own.groups.acknowledge(APP, GROUP, [delivery.event.position])
                await asyncio.sleep(0)

        await asyncio.gather(*[work(f"member {number}") for number in range(5)])

        assert given == sorted(done)
        assert all(sorted(seen) == seen for seen in order.values())
