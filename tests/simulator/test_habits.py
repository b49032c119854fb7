"""What a repeated fetch answers while the last token is valid."""

import pytest

from broker.simulator import Habit, World, demo
from broker.simulator.world.tokens import AppToken, Owner, TokenBook
from tests.simulator.caller import Caller, FakeClock


async def test_same_value_full_lifetime_promises_more_than_there_is(wecom: Caller, clock: FakeClock) -> None:
    first = await wecom.gettoken()
    clock.now += 7000
    second = await wecom.gettoken()

    assert first == second

    clock.now += 200
    assert 42001 == await wecom.probe(second["access_token"])
    assert first["access_token"] != await wecom.token()


async def test_same_value_remaining_tells_the_truth(wecom: Caller, world: World, clock: FakeClock) -> None:
    world.set_habit(Habit.SAME_VALUE_REMAINING)
    first = await wecom.gettoken()
    clock.now += 7000.5
    second = await wecom.gettoken()

    assert first["access_token"] == second["access_token"]
    assert 199 == second["expires_in"]


async def test_new_value_old_alive_keeps_the_old_to_its_own_expiry(
    wecom: Caller, world: World, clock: FakeClock
) -> None:
    world.set_habit(Habit.NEW_VALUE_OLD_ALIVE)
    first = await wecom.token()
    clock.now += 7000
    second = await wecom.token()

    assert first != second
    assert [0, 0] == [await wecom.probe(first), await wecom.probe(second)]

    clock.now += 200
    assert [42001, 0] == [await wecom.probe(first), await wecom.probe(second)]


async def test_new_value_old_alive_can_cut_the_old_short(
    wecom: Caller, world: World, clock: FakeClock
) -> None:
    world.set_habit(Habit.NEW_VALUE_OLD_ALIVE)
    world.settings.old_value_alive = 60
    first = await wecom.token()
    await wecom.token()

    clock.now += 59
    assert 0 == await wecom.probe(first)
    clock.now += 1
    assert 42001 == await wecom.probe(first)


async def test_new_value_kills_old(wecom: Caller, world: World) -> None:
    world.set_habit(Habit.NEW_VALUE_KILLS_OLD)
    first, second = await wecom.token(), await wecom.token()

    assert [40014, 0] == [await wecom.probe(first), await wecom.probe(second)]


async def test_new_value_kills_every_older_one_that_still_lives(wecom: Caller, world: World) -> None:
    world.set_habit(Habit.NEW_VALUE_OLD_ALIVE)
    old = [await wecom.token() for _ in range(3)]
    world.set_habit(Habit.NEW_VALUE_KILLS_OLD)
    await wecom.token()

    assert [40014] * 3 == [await wecom.probe(token) for token in old]


async def test_each_endpoint_may_have_its_own_habit(wecom: Caller, world: World) -> None:
    world.set_habit(Habit.NEW_VALUE_KILLS_OLD, "corp/gettoken")
    parent = await wecom.token()
    children = [(await wecom.child_gettoken(parent))["access_token"] for _ in range(2)]

    assert parent == await wecom.token()
    assert [40014, 0] == [await wecom.probe(child, agentid=1000010) for child in children]


async def test_a_habit_for_all_replaces_the_single_ones(wecom: Caller, world: World) -> None:
    world.set_habit(Habit.NEW_VALUE_KILLS_OLD, "gettoken")
    world.set_habit(Habit.SAME_VALUE_REMAINING)

    assert await wecom.token() == await wecom.token()


@pytest.mark.parametrize("habit", Habit)
def test_by_any_habit_a_fetch_after_expiry_gives_a_new_living_token(habit: Habit) -> None:
    values = iter(["first", "second"])
    book = TokenBook(lambda: next(values))
    for now in (0.0, 10.0):
        grant = book.grant(AppToken, Owner(demo.PARENT), habit=habit, now=now, lifetime=10.0)
        assert grant.token.alive(now)
        assert 10 == grant.expires_in

    assert "second" == grant.token.value
