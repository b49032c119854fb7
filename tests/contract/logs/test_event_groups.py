"""Groups of the event log: how many an owner may have, and who leaves at no event's fault."""

import asyncio
from dataclasses import replace

import pytest

from broker.domain.events.log import Deletion
from broker.domain.events.positions import milliseconds_of
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.event_log import EventLog
from tests.contract.events import ANA, APP, BEN, GROUP, appended, lag, takes, words


async def test_what_is_released_at_no_ones_fault_spends_no_try(log: EventLog, groups: EventGroups) -> None:
    await appended(log, "a1 b1")
    await log.claim(ANA)
    await groups.release(APP, GROUP, "ana", counts_as_attempt=False)

    assert [0, 0] == [delivery.attempts for delivery in await log.claim(BEN)]


async def test_a_member_without_room_gives_a_sign_of_life_and_keeps_what_it_holds(log: EventLog) -> None:
    await appended(log, "a1 a2 b1")
    await log.claim(ANA)
    await appended(log, "a3 c1")

    assert "" == await takes(log, ANA, max_in_flight=0)
    assert "c1" == await takes(log, BEN)
    assert "a3" == await takes(log, ANA)


async def test_a_group_that_is_opened_is_there(log: EventLog, groups: EventGroups) -> None:
    await appended(log, "a1")

    assert await groups.open_group(APP, GROUP, most=1)
    assert 1 == (await lag(groups)).open
    assert "a1" == await takes(log, ANA)


async def test_an_owner_has_no_more_groups_than_so_many(groups: EventGroups) -> None:
    for group in ("ana/1", "ana/2", "anabel/1", "1"):
        assert await groups.open_group(APP, group, most=2)

    assert not await groups.open_group(APP, "ana/3", most=2)
    assert await groups.open_group(APP, "ana/2", most=2)
    assert await groups.open_group(APP, "anabel/2", most=2)
    assert await groups.open_group("hr", "ana/3", most=2)
    assert ["1", "ana/1", "ana/2", "anabel/1", "anabel/2"] == [lag.group for lag in await groups.lags(APP)]


async def test_an_owner_who_opens_many_at_once_has_no_more(
    groups: EventGroups, other_groups: EventGroups
) -> None:
    opening = [
        one.open_group(APP, f"ana/{number}", most=5) for number in range(20) for one in (groups, other_groups)
    ]

    assert 10 == sum(await asyncio.gather(*opening))
    assert 5 == len(await groups.lags(APP))


async def test_what_is_given_up_is_dead_and_in_nobodys_way(log: EventLog, groups: EventGroups) -> None:
    first, _, _ = await appended(log, "a1 a2 b1")
    await log.claim(replace(ANA, max_in_flight=1))

    assert 1 == await groups.give_up(APP, GROUP, [first, first, "1-1", ""])
    assert "a2 b1" == await takes(log, BEN)
    assert (2, 1) == ((await lag(groups)).open, (await lag(groups)).dead)
    assert "a1" == words(await log.dead(APP, GROUP, "", 10))
    assert 0 == await groups.give_up(APP, GROUP, [first])
    assert 0 == await groups.give_up(APP, "unknown", [first])


async def test_what_waits_is_given_up_too_and_retried_in_its_order(
    log: EventLog, groups: EventGroups
) -> None:
    first, second = await appended(log, "a1 a2")
    await log.claim(ANA)
    await groups.release(APP, GROUP, "ana", counts_as_attempt=False)

    assert 2 == await groups.give_up(APP, GROUP, [second, first])
    assert "" == await takes(log, BEN)
    assert 2 == await groups.retry(APP, GROUP, [second, first])
    assert "a1 a2" == await takes(log, BEN)


async def test_a_member_whose_events_are_given_up_has_room_again(log: EventLog, groups: EventGroups) -> None:
    given = await appended(log, "a1 a2 b1")
    await log.claim(replace(ANA, max_in_flight=2))
    await groups.give_up(APP, GROUP, given[:2])

    assert "b1" == await takes(log, ANA, max_in_flight=2)


async def test_the_lag_of_a_group_that_acknowledged_far_ahead_is_told_at_once(
    log: EventLog, groups: EventGroups
) -> None:
    given = await appended(log, " ".join(f"a{number}" for number in range(1200)))
    await groups.open_group(APP, GROUP, most=1)
    await groups.acknowledge(APP, GROUP, given[:1199])

    found = await lag(groups)
    assert 1 == found.open
    assert found.oldest
    assert milliseconds_of(given[0]) <= found.oldest.timestamp() * 1000 <= milliseconds_of(given[1199]) + 1


@pytest.mark.parametrize("place", ["9" * 5_000 + "-1", "1-" + "9" * 5_000, "²-1", "1-", "-", "\x00"])
async def test_what_is_no_position_is_that_of_no_event(
    log: EventLog, groups: EventGroups, place: str
) -> None:
    await appended(log, "a1")
    await log.claim(ANA)

    for count in (groups.acknowledge, groups.give_up, groups.retry):
        assert 0 == await count(APP, GROUP, [place])
    assert [] == await log.read(APP, place, 10)
    assert [] == await log.dead(APP, GROUP, place, 10)
    await groups.release(APP, GROUP, "ana", unseen=[place])
    assert "a1" == await takes(log, BEN)


async def test_the_event_that_a_group_is_stuck_at_is_known_and_how_often_it_was_tried(
    log: EventLog, groups: EventGroups
) -> None:
    first, second = await appended(log, "a1 a2")
    await log.claim(BEN)
    assert (first, 0, 1) == await stuck(groups)

    for attempts in (1, 2):
        await groups.release(APP, GROUP, "ben")
        assert (first, attempts, 0) == await stuck(groups)
        await log.claim(BEN)
    await log.claim(ANA)
    assert (first, 2, 2) == await stuck(groups)

    await groups.acknowledge(APP, GROUP, [first])
    assert (second, 0, 2) == await stuck(groups)
    await groups.acknowledge(APP, GROUP, [second])
    assert ("", 0, 2) == await stuck(groups)


async def test_an_event_that_nobody_looked_at_is_what_a_new_group_is_stuck_at(
    log: EventLog, groups: EventGroups
) -> None:
    first, _ = await appended(log, "a1 a2")
    await groups.open_group(APP, GROUP, most=1)

    assert (first, 0, 0) == await stuck(groups)


async def test_a_group_without_members_is_deleted_and_begins_anew(
    log: EventLog, groups: EventGroups, other_groups: EventGroups
) -> None:
    await appended(log, "a1 a2")
    assert "a1 a2" == await takes(log, ANA)
    assert Deletion.IN_USE == await other_groups.delete_group(APP, GROUP)
    assert 2 == (await lag(groups)).open

    await groups.release(APP, GROUP, "ana")
    assert Deletion.DELETED == await other_groups.delete_group(APP, GROUP)
    assert [] == await groups.lags(APP)
    assert Deletion.UNKNOWN == await groups.delete_group(APP, GROUP)
    assert Deletion.UNKNOWN == await groups.delete_group("hr", GROUP)
    assert [(0, 1), (0, 1)] == [(taken.attempts, taken.count) for taken in await log.claim(ANA)]


async def stuck(groups: EventGroups) -> tuple[str, int, int]:
    found = await lag(groups)
    return found.stuck, found.attempts, found.members
