"""Answers that were decided in time, and come late."""

import pytest

from broker.simulator import Delay, Habit, World
from tests.simulator.caller import Caller, FakeClock

FETCHES = {
    "gettoken": lambda wecom, _token: wecom.gettoken(),
    "corp/gettoken": lambda wecom, token: wecom.child_gettoken(token),
    "get_jsapi_ticket": lambda wecom, token: wecom.corp_ticket(token),
    "ticket/get": lambda wecom, token: wecom.agent_ticket(token),
}


@pytest.fixture
def world(world: World, clock: FakeClock) -> World:
    """Let the clock go on while somebody waits."""

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    world.sleep = sleep
    return world


@pytest.mark.parametrize("lifetime", [10, 30])
@pytest.mark.parametrize("endpoint", FETCHES)
async def test_a_late_answer_brings_a_value_that_has_ended_meanwhile(
    wecom: Caller, world: World, clock: FakeClock, endpoint: str, lifetime: int
) -> None:
    world.set_habit(Habit.SAME_VALUE_REMAINING)
    token = "" if endpoint == "gettoken" else await wecom.token()
    world.settings.token_lifetime = world.settings.ticket_lifetime = lifetime

    async def fetched() -> tuple[str, int]:
        answer = await FETCHES[endpoint](wecom, token)
        return answer.get("ticket") or answer["access_token"], answer["expires_in"]

    value, expires_in = await fetched()
    clock.now += lifetime - 0.1
    world.faults.add(endpoint, Delay(0.2, on_the_way_back=True), times=1)

    assert lifetime == expires_in
    assert (value, 1) == await fetched()
    assert value != (await fetched())[0]


@pytest.mark.parametrize(("on_the_way_back", "same"), [(True, True), (False, False)])
async def test_a_delay_holds_back_the_call_or_the_answer(
    wecom: Caller, world: World, clock: FakeClock, on_the_way_back: bool, same: bool
) -> None:
    world.settings.token_lifetime = 10
    first = await wecom.token()
    clock.now += 9.9
    world.faults.add("gettoken", Delay(0.2, on_the_way_back=on_the_way_back), times=1)

    assert same is (first == await wecom.token())
    assert "delay" == world.log.records[-1].fault


async def test_a_new_value_each_time_is_the_other_habit(wecom: Caller, world: World) -> None:
    world.set_habit(Habit.NEW_VALUE_OLD_ALIVE)
    world.faults.add("gettoken", Delay(0.2, on_the_way_back=True))
    first, second = await wecom.token(), await wecom.token()

    assert first != second
    assert (0, 0) == (await wecom.probe(first), await wecom.probe(second))
