"""What goes wrong by script."""

import asyncio
import json
import time

import aiohttp
import pytest

from broker.simulator import (
    Delay,
    Errcode,
    Habit,
    Hang,
    HttpStatus,
    Junk,
    JunkKind,
    Reset,
    Truncated,
    World,
    demo_world,
    running_simulator,
)
from broker.simulator.world.fault_script import FaultScript
from broker.simulator.world.faults import Fault
from tests.kit.machine import busy
from tests.kit.time_bounds import check_took
from tests.simulator.caller import GETTOKEN, Caller


async def until_in_flight(world: World, number: int) -> None:
    """Let the loop run until so many calls of gettoken are under way."""
    while world.log.in_flight("gettoken") != number:
        await asyncio.sleep(0)


async def test_a_delay_is_slept_before_the_normal_answer(
    wecom: Caller, world: World, slept: list[float]
) -> None:
    world.faults.add(GETTOKEN, Delay(3.0), times=1)

    assert 0 == (await wecom.gettoken())["errcode"]
    assert 0 == (await wecom.gettoken())["errcode"]
    assert [3.0] == slept


async def test_delays_add_up_and_combine_with_another_fault(
    wecom: Caller, world: World, slept: list[float]
) -> None:
    world.faults.add("*", Delay(1.0))
    world.faults.add("gettoken", Delay(0.5))
    world.faults.add("gettoken", Errcode(-1))

    assert -1 == (await wecom.gettoken())["errcode"]
    assert [1.5] == slept


async def test_an_errcode_is_worded_like_a_real_one(wecom: Caller, world: World) -> None:
    world.faults.add("gettoken", Errcode(45009), times=1)
    world.faults.add("gettoken", Errcode(12345, "never seen before"), times=1)
    first, second = await wecom.gettoken(), await wecom.gettoken()

    assert 45009 == first["errcode"]
    assert first["errmsg"].startswith("api freq out of limit, hint: [")
    assert 12345 == second["errcode"]
    assert second["errmsg"].startswith("never seen before, hint: [")


async def test_an_http_status_comes_without_json(wecom: Caller, world: World) -> None:
    world.faults.add("gettoken", HttpStatus(502))

    async with wecom.session.get(GETTOKEN) as response:
        assert 502 == response.status
        assert "text/html" == response.content_type


@pytest.mark.parametrize(
    ("kind", "body"),
    [(JunkKind.NOT_AN_OBJECT, '["ok"]'), (JunkKind.EMPTY, ""), (JunkKind.INVALID_JSON, '{"errcode":0')],
)
async def test_junk_comes_with_status_200(wecom: Caller, world: World, kind: JunkKind, body: str) -> None:
    world.faults.add("gettoken", Junk(kind))

    async with wecom.session.get(GETTOKEN) as response:
        assert 200 == response.status
        assert (await response.text()).startswith(body)


@pytest.mark.parametrize("kind", [JunkKind.HTML, JunkKind.INVALID_JSON, JunkKind.EMPTY])
async def test_most_junk_cannot_be_parsed(wecom: Caller, world: World, kind: JunkKind) -> None:
    world.faults.add("gettoken", Junk(kind))

    async with wecom.session.get(GETTOKEN) as response:
        with pytest.raises(json.JSONDecodeError):
            json.loads(await response.text())


async def test_a_reset_ends_the_connection_before_an_answer(wecom: Caller, world: World) -> None:
    world.faults.add("corp/gettoken", Reset())
    token = await wecom.token()

    with pytest.raises(aiohttp.ClientOSError):
        await wecom.child_gettoken(token)


async def test_a_truncated_answer_is_shorter_than_announced(wecom: Caller, world: World) -> None:
    world.faults.add("gettoken", Truncated(), times=1)

    async with wecom.session.get(GETTOKEN) as response:
        assert 200 == response.status
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()

    assert 0 == (await wecom.gettoken())["errcode"]


@pytest.mark.parametrize(
    ("fault", "granted"),
    [
        (Reset(), False),
        (Reset(takes_effect=True), True),
        (Truncated(), True),
        (Junk(), False),
        (Junk(takes_effect=True), True),
    ],
)
async def test_a_call_takes_effect_only_where_the_fault_says_so(
    wecom: Caller, world: World, fault: Fault, granted: bool
) -> None:
    world.set_habit(Habit.NEW_VALUE_KILLS_OLD)
    parent = await wecom.token()
    child = (await wecom.child_gettoken(parent))["access_token"]
    world.faults.add("corp/gettoken", fault, times=1)
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await wecom.child_gettoken(parent)

    assert (40014 if granted else 0) == await wecom.probe(child, agentid=1000010)


async def test_a_hanging_call_lasts_until_the_client_leaves(wecom: Caller, world: World) -> None:
    world.faults.add("gettoken", Hang(), times=1)
    call = asyncio.create_task(wecom.gettoken())
    await until_in_flight(world, 1)
    call.cancel()
    await until_in_flight(world, 0)

    assert 0 == (await wecom.gettoken())["errcode"]


async def test_the_server_ends_at_once_though_calls_hang() -> None:
    world = demo_world()
    world.faults.add("*", Hang())
    async with (
        busy() as machine,
        running_simulator(world) as url,
        aiohttp.ClientSession(url) as session,
    ):
        call = asyncio.create_task(Caller(session).gettoken())
        await until_in_flight(world, 1)
        began = time.monotonic()
        # The session closes first, which ends the call; the server must not wait for more.
    with pytest.raises(aiohttp.ClientError):
        await call

    check_took(time.monotonic() - began - machine.seconds, 2)


async def test_the_port_is_free_again_and_no_call_is_left_when_the_server_is_gone() -> None:
    world = demo_world()
    world.faults.add("*", Hang())
    async with aiohttp.ClientSession() as session:
        async with running_simulator(world) as url:
            call = asyncio.create_task(session.post(f"{url}/cgi-bin/corpgroup/corp/gettoken").__aenter__())
            while not world.log.in_flight("corp/gettoken"):
                await asyncio.sleep(0)
        with pytest.raises(aiohttp.ClientError):
            await call
    async with running_simulator(world, port=int(url.rsplit(":", 1)[1])) as again:
        assert url == again

    assert 0 == world.log.in_flight("corp/gettoken")


def test_rules_are_used_in_their_order_and_as_often_as_they_say() -> None:
    script = FaultScript()
    script.add("gettoken", Errcode(1), times=2)
    script.add("*", Errcode(2), times=1)
    script.add("corp/gettoken", Errcode(3))

    assert [Errcode(1), Errcode(1), Errcode(2), None] == [script.draw(GETTOKEN).end for _ in range(4)]


def test_after_spares_the_first_calls() -> None:
    script = FaultScript()
    script.add("gettoken", Reset(), times=1, after=2)

    assert [None, None, Reset(), None] == [script.draw(GETTOKEN).end for _ in range(4)]


def test_after_counts_calls_that_another_rule_ended() -> None:
    script = FaultScript()
    script.add("gettoken", Errcode(1), times=1)
    script.add("gettoken", Errcode(2), times=1, after=1)

    assert [Errcode(1), Errcode(2), None] == [script.draw(GETTOKEN).end for _ in range(3)]


def test_clearing_drops_the_rules_of_one_endpoint_or_all() -> None:
    script = FaultScript()
    script.add("gettoken", Errcode(1))
    script.add("*", Errcode(2))
    script.clear("gettoken")

    assert Errcode(2) == script.draw(GETTOKEN).end

    script.clear()

    assert script.draw(GETTOKEN).end is None


@pytest.mark.parametrize("name", ["nothing", "get", ""])
def test_an_unknown_or_ambiguous_endpoint_is_no_rule(name: str) -> None:
    with pytest.raises(ValueError, match="simulator"):
        FaultScript().add(name, Reset())
