"""Faults that spoil a share of the answers, always the same ones."""

import aiohttp
import pytest

from broker.simulator import Errcode, HttpStatus, Reset, World
from tests.simulator.caller import CHILD_TOKEN, Caller, Json

CALLS = 400


async def spoilt(wecom: Caller, calls: int = CALLS) -> list[int]:
    """Return which of so many fetches failed: by POST, which aiohttp does not repeat by itself."""
    token = await wecom.token()
    failed = []
    for number in range(calls):
        try:
            answer = await wecom.child_gettoken(token)
        except aiohttp.ClientError:
            answer = {"errcode": -1}
        failed += [number] * (answer["errcode"] != 0)
    return failed


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Reset(), HttpStatus(502), Errcode(-1)])
@pytest.mark.parametrize("share", [0.01, 0.05])
async def test_about_that_share_is_spoilt_and_counted(
    wecom: Caller, world: World, fault: Reset | HttpStatus | Errcode, share: float
) -> None:
    rule = world.faults.add("corp/gettoken", fault, share=share, seed=7)
    failed = await spoilt(wecom)

    assert share * CALLS / 3 <= len(failed) <= share * CALLS * 3
    assert (CALLS, len(failed)) == (rule.seen, rule.struck)


async def test_the_seed_decides_which(wecom: Caller, world: World) -> None:
    runs = []
    for seed in (1, 1, 2):
        world.faults.clear()
        world.faults.add("corp/gettoken", Errcode(-1), share=0.05, seed=seed)
        runs.append(await spoilt(wecom, 100))

    assert runs[0] == runs[1] != runs[2]


async def test_other_endpoints_are_spared(wecom: Caller, world: World) -> None:
    rule = world.faults.add("agent/get", Errcode(-1), share=1)

    assert [] == await spoilt(wecom, 5)
    assert -1 == await wecom.probe(await wecom.token())
    assert (1, 1) == (rule.seen, rule.struck)


async def test_a_share_may_begin_late_and_end(wecom: Caller, world: World) -> None:
    world.faults.add("corp/gettoken", Errcode(-1), share=1, after=2, times=3)

    assert [2, 3, 4] == await spoilt(wecom, 8)
    assert [] == world.faults.rules


async def test_the_control_api_adds_them_and_tells_the_counts(wecom: Caller) -> None:
    rule: Json = {"endpoint": "corp/gettoken", "kind": "errcode", "errcode": -1, "share": 0.02, "seed": 7}
    assert (200, {}) == await wecom.control("POST", "faults", rule)
    failed = await spoilt(wecom, 200)
    _, answer = await wecom.control("GET", "faults")

    assert failed
    assert {
        "faults": [
            {
                "endpoint": CHILD_TOKEN,
                "kind": "errcode",
                "times": None,
                "after": 0,
                "share": 0.02,
                "seed": 7,
                "seen": 200,
                "struck": len(failed),
            }
        ]
    } == answer
    status, mistake = await wecom.control("POST", "faults", {**rule, "share": 1.5})
    assert (400, "share: should be a number, 0 to 1") == (status, mistake["error"])
