"""What the log of calls keeps, and what it never keeps."""

import asyncio

import aiohttp
import pytest

from broker.simulator import Delay, Errcode, Reset, World, demo
from broker.simulator.world.call_log import redacted
from tests.simulator.caller import LIST_SHARES, Caller, FakeClock


async def test_calls_are_counted_by_endpoint(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    await wecom.child_gettoken(token)
    await wecom.child_gettoken(token)

    assert [1, 2] == [world.log.calls("gettoken"), world.log.calls("corp/gettoken")]
    assert [2, 0] == [world.log.calls("/cgi-bin/corpgroup/corp/gettoken"), world.log.calls("agent/get")]
    assert 3 == world.log.calls()


def test_counting_an_unknown_endpoint_is_a_mistake(world: World) -> None:
    with pytest.raises(ValueError, match="no endpoint"):
        world.log.calls("get_token")


async def test_a_record_tells_who_called_what_and_when(wecom: Caller, world: World, clock: FakeClock) -> None:
    await wecom.post(LIST_SHARES, {"agentid": 7}, access_token=await wecom.token())
    record = world.log.records[-1]

    assert (clock.now, "POST", LIST_SHARES) == (record.at, record.method, record.path)
    assert (demo.PARENT.corpid, demo.PARENT.agentid) == (record.corpid, record.agentid)
    assert ({"access_token": "***"}, {"agentid": 7}) == (record.query, record.body)
    assert (200, 301002, "") == (record.status, record.errcode, record.fault)


async def test_no_secret_and_no_token_is_kept(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    await wecom.post(LIST_SHARES, {"access_token": token, "list": [{"secret": token}]}, access_token=token)
    await wecom.request("POST", LIST_SHARES, data=token.encode(), access_token=token)
    kept = repr(list(world.log.records))

    assert token not in kept
    assert demo.SECRET not in kept


def test_a_secret_is_hidden_at_any_depth() -> None:
    assert {"a": {"code": "***"}, "b": [{"session_key": "***"}], "c": 1} == redacted(
        {"a": {"code": "x"}, "b": [{"session_key": "y"}], "c": 1}
    )


async def test_an_injected_errcode_is_logged_and_a_lost_answer_has_none(wecom: Caller, world: World) -> None:
    token = await wecom.token()
    world.faults.add("corp/gettoken", Errcode(-1), times=1)
    world.faults.add("corp/gettoken", Reset(), times=1)
    await wecom.child_gettoken(token)
    with pytest.raises(aiohttp.ClientOSError):
        await wecom.child_gettoken(token)
    refused, lost = list(world.log.records)[-2:]

    assert (-1, 200, "errcode") == (refused.errcode, refused.status, refused.fault)
    assert (None, None, "reset") == (lost.errcode, lost.status, lost.fault)


async def test_calls_under_way_at_once_are_counted(wecom: Caller, world: World) -> None:
    gate = asyncio.Event()

    async def wait(_seconds: float) -> None:
        await gate.wait()

    world.sleep = wait
    world.faults.add("gettoken", Delay(1.0))
    calls = [asyncio.create_task(wecom.gettoken()) for _ in range(3)]
    while world.log.in_flight("gettoken") < 3:
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*calls)

    assert (0, 3) == (world.log.in_flight("gettoken"), world.log.max_in_flight("gettoken"))


async def test_a_cleared_log_starts_anew(wecom: Caller, world: World) -> None:
    await wecom.gettoken()
    world.log.clear()

    assert 0 == world.log.calls()
    assert 0 == world.log.max_in_flight("gettoken")
    assert not world.log.records
