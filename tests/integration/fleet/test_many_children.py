"""Issue 2, point 6: hundreds and thousands of children."""

import asyncio
import gc
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.integration.conftest import Figures, StartFleet
from tests.kit.processes.fleet import LIST, Fleet, Replica, child, running_fleet

DEMO_CHILDREN = 5
"""The simulator's own, beside those that a test asks for."""

pytestmark = pytest.mark.slow


async def test_250_children_over_3_pages_are_all_there(start_fleet: StartFleet, figures: Figures) -> None:
    fleet = start_fleet(1, children=250 - DEMO_CHILDREN, patient=True)
    async with fleet.replicas() as (replica,):
        shares = await replica.all_shares()

        assert 250 == len({share.corp_id for share in shares}) == len(shares)
        assert {child(number) for number in range(1, 246)} < {share.corp_id for share in shares}
        assert 3 == fleet.wecom.calls()[LIST]
        assert shares == await replica.all_shares(page_size=7), "the pages of any size add up to the same"
        last = await replica.token(child(245))
        assert child(245) == last.corp_id
        assert 3 == fleet.wecom.calls()[LIST], "listed once"
    figures(children=len(shares), upstream_pages=3)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One broker and 10,000 children."""
    children = 10_000 - DEMO_CHILDREN
    with running_fleet(
        tmp_path_factory.mktemp("crowd"), 1, children=children, patient=True, log={"level": "info"}
    ) as fleet:
        yield fleet


async def cost_to_list(fleet: Fleet, replica: Replica, number: int, times: int) -> float:
    """Return the seconds of processor time that the broker needs to list that many children so often."""
    process = fleet.brokers[0].process
    assert process
    before = psutil.Process(process.pid).cpu_times()
    for _ in range(times):
        assert number == len(await replica.all_shares())
    after = psutil.Process(process.pid).cpu_times()
    return after.user + after.system - before.user - before.system


async def test_listing_10000_children_takes_no_more_for_each_than_listing_1000(
    crowd: Fleet, start_fleet: StartFleet, figures: Figures
) -> None:
    fewer = start_fleet(1, children=1000 - DEMO_CHILDREN, patient=True)
    async with crowd.replicas() as (replica,), fewer.replicas() as (small,):
        began = time.monotonic()
        await replica.all_shares(1000)
        first = time.monotonic() - began
        await small.all_shares(1000)
        many = await cost_to_list(crowd, replica, 10_000, 5)
        few = await cost_to_list(fewer, small, 1_000, 50)
    figures(
        microseconds_each_of_1000=few * 20,
        microseconds_each_of_10000=many * 20,
        first_listing_from_wecom_seconds=first,
        upstream_pages=crowd.wecom.calls()[LIST],
    )
    assert 100 == crowd.wecom.calls()[LIST]
    # In processor time, which a busy machine does not stretch.
    assert many < 3 * few, "a quadratic step would make it 10 times"


async def test_a_credential_takes_little_memory(crowd: Fleet, figures: Figures) -> None:
    first, number = 200, 1_000
    process = crowd.brokers[0].process
    assert process
    memory = psutil.Process(process.pid)
    async with crowd.replicas() as (replica,):

        async def fetch(start: int, end: int) -> None:
            slots = asyncio.Semaphore(50)

            async def one(corp_id: str) -> None:
                async with slots:
                    await replica.token(corp_id)

            await asyncio.gather(*(one(child(turn)) for turn in range(start, end)))

        await fetch(1, first)
        gc.collect()
        before = memory.memory_info().rss
        began = time.monotonic()
        await fetch(first, first + number)
        took = time.monotonic() - began
        grown = memory.memory_info().rss - before
    assert grown / number < 20_000
    figures(
        credentials=number,
        bytes_each=grown // number,
        rss_megabytes=(before + grown) / 1e6,
        cold_fetches_a_second=number / took,
    )
