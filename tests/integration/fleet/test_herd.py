"""Issue 2, point 1: a cold herd costs WeCom one fetch of each thing, however many replicas and callers."""

import asyncio
import time

import pytest

from tests.integration.conftest import Figures
from tests.kit.machine import busy
from tests.kit.processes.fleet import CHILD_TOKEN, GETTOKEN, LIST, Fleet, child
from tests.kit.time_bounds import check_took

CALLERS = 200

pytestmark = pytest.mark.slow


async def herd(fleet: Fleet, app: str, corp_ids: list[str]) -> tuple[list[str], float]:
    """Let the callers ask at once, going round the replicas; return the tokens, and the seconds it took."""
    async with fleet.replicas(app) as replicas:
        for replica in replicas:
            await replica.serving()  # connected before the clock starts
        began = time.monotonic()
        async with busy() as machine:
            tokens = await asyncio.gather(
                *(replicas[turn % len(replicas)].token(corp_id) for turn, corp_id in enumerate(corp_ids))
            )
        took = time.monotonic() - began - machine.seconds
    assert corp_ids == [token.corp_id for token in tokens]
    return [token.value for token in tokens], took


async def test_200_cold_callers_on_3_replicas_cost_one_fetch_of_each_thing(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    values, took = await herd(fleet, app, [child(1)] * CALLERS)

    assert 1 == len(set(values))
    assert {GETTOKEN: 1, LIST: 1, CHILD_TOKEN: 1} == fleet.wecom.calls()
    figures(callers=CALLERS, replicas=3, upstream="1 + 1 + 1", seconds=took)


async def test_an_upstream_that_takes_3_s_is_still_asked_once(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    fleet.wecom.fault("delay", seconds=3)

    values, took = await herd(fleet, app, [child(1)] * CALLERS)

    assert 1 == len(set(values))
    assert {GETTOKEN: 1, LIST: 1, CHILD_TOKEN: 1} == fleet.wecom.calls()
    check_took(took, 1.5 * 9, "gettoken, list and corp/gettoken take 3 s each")
    figures(callers=CALLERS, replicas=3, upstream="1 + 1 + 1", seconds=took, of_which_wecom=9.0)


async def test_50_cold_children_cost_50_child_fetches(fleet: Fleet, app: str, figures: Figures) -> None:
    corp_ids = [child(1 + turn // 4) for turn in range(CALLERS)]

    values, took = await herd(fleet, app, corp_ids)

    assert 50 == len(set(values))
    assert {GETTOKEN: 1, LIST: 1, CHILD_TOKEN: 50} == fleet.wecom.calls()
    figures(callers=CALLERS, replicas=3, children=50, upstream="1 + 1 + 50", seconds=took)
