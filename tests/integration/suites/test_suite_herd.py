"""Issue 9, point 3: cold callers of many corps cost one suite token, and one token of each corp."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis

from broker.simulator.provider_demo import children
from tests.integration.conftest import Figures
from tests.kit.machine import busy
from tests.kit.processes.fleet import Fleet, running_fleet
from tests.kit.processes.suites import (
    GET_CORP_TOKEN,
    GET_SUITE_TOKEN,
    SUITES,
    Console,
    called_back,
    until_active,
    until_ticket,
)

CALLERS, CORPS = 200, 20

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running_fleet(tmp_path_factory.mktemp("suite-herd"), 3, patient=True, **SUITES) as fleet:
        Console(fleet.wecom).open(CORPS)
        yield fleet


@pytest.fixture
async def corp_ids(warm: Fleet) -> AsyncIterator[list[str]]:
    """Corps whose tokens nobody holds, at brokers that have just started."""
    async with called_back(warm) as console, warm.replicas("market") as replicas:
        if not console.authorizations():
            console.push_tickets("market")
            await until_ticket(*replicas)
            for corp in children(CORPS):
                console.install(corp)
        corp_ids = sorted(console.corp_ids().values())
        await until_active(corp_ids, *replicas)
    for broker in warm.brokers:
        broker.kill()
    with Redis(port=warm.redis.port) as client:
        for kind in ("access_token", "suite_token"):
            assert client.delete(*client.scan_iter(f"*{{{kind}:*", count=1000))
    warm.mend()
    warm.wecom.forget_calls()
    yield corp_ids
    warm.wecom.mend()


async def herd(fleet: Fleet, corp_ids: list[str]) -> float:
    """Let the callers ask at once, going round replicas and corps; return the seconds it took."""
    async with fleet.replicas("market") as replicas:
        for replica in replicas:
            await replica.serving()  # connected before the clock starts
        asked = [corp_ids[turn % CORPS] for turn in range(CALLERS)]
        began = time.monotonic()
        async with busy() as machine:
            tokens = await asyncio.gather(
                *(replicas[turn % len(replicas)].token(corp_id) for turn, corp_id in enumerate(asked))
            )
        took = time.monotonic() - began - machine.seconds
    assert asked == [token.corp_id for token in tokens]
    assert CORPS == len({token.value for token in tokens})
    return took


async def test_200_cold_callers_of_20_corps_cost_1_suite_token_and_20_corp_tokens(
    warm: Fleet, corp_ids: list[str], figures: Figures
) -> None:
    took = await herd(warm, corp_ids)

    assert {GET_SUITE_TOKEN: 1, GET_CORP_TOKEN: CORPS} == warm.wecom.calls()
    figures(callers=CALLERS, replicas=3, corps=CORPS, upstream="1 + 20", seconds=took)


async def test_a_wecom_that_takes_a_second_is_asked_no_more_often(
    warm: Fleet, corp_ids: list[str], figures: Figures
) -> None:
    warm.wecom.fault("delay", seconds=1)

    took = await herd(warm, corp_ids)

    assert {GET_SUITE_TOKEN: 1, GET_CORP_TOKEN: CORPS} == warm.wecom.calls()
    figures(callers=CALLERS, replicas=3, corps=CORPS, upstream="1 + 20", seconds=took, of_which_wecom=2.0)
