"""Issue 2, point 5: short-lived tokens rotate under load, and no caller notices."""

import time

import aiohttp
import pytest

from tests.integration.conftest import Figures, StartFleet
from tests.kit.processes.fleet import child, until
from tests.kit.processes.load import steady_load
from tests.kit.time_bounds import check_took

LIFETIME, SECONDS = 10, 60
UPSTREAM_SECONDS = 0.7
"""How slow WeCom is: what a caller that waits for a rotation would feel."""

pytestmark = pytest.mark.slow


async def test_60_s_of_load_over_tokens_of_10_s_see_no_error_no_expired_token_and_no_wait(
    start_fleet: StartFleet, figures: Figures
) -> None:
    fleet = start_fleet(2, children=2, patient=True, token_lifetime=LIFETIME, habit="new_value_old_alive")
    fleet.wecom.fault("delay", seconds=UPSTREAM_SECONDS)
    corp_ids = ["", child(1), child(2)]
    dead_at_wecom: list[int] = []
    async with fleet.replicas() as replicas, aiohttp.ClientSession(fleet.wecom.url) as wecom:
        for corp_id in corp_ids:
            for replica in replicas:
                await replica.token(corp_id)
        began = time.monotonic()
        async with steady_load(replicas, corp_ids, callers=8, pause=0.05) as load:

            async def over() -> bool:
                token = await replicas[0].token(child(1))
                query = {"access_token": token.value, "agentid": str(token.agent_id)}
                async with wecom.get("/cgi-bin/agent/get", params=query) as answer:
                    if errcode := (await answer.json()).get("errcode"):
                        dead_at_wecom.append(errcode)
                return time.monotonic() - began > SECONDS

            await until(over, within=2 * SECONDS)
    assert [] == load.refusals
    assert [] == load.expired
    assert [] == dead_at_wecom
    rotations = len(load.values) / len(corp_ids) - 1
    assert rotations >= SECONDS / LIFETIME - 1
    check_took(load.longest_wait, 0.8 * UPSTREAM_SECONDS, "nobody waits for WeCom")
    figures(
        calls=load.calls,
        errors=0,
        rotations_of_each=rotations,
        upstream_seconds=UPSTREAM_SECONDS,
        slowest_seconds=load.longest,
        p99_seconds=load.quantile(0.99),
    )
