"""A scrape of very many series lets calls go on in between."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import aiohttp

from broker.simulator.demo import demo_world
from broker.telemetry import zeros
from tests.kit.broker_here import broker_here

CALLERS = 2_000


async def test_calls_have_their_turns_during_a_scrape(tmp_path: Path) -> None:
    over = asyncio.Event()
    turns: list[float] = []

    async def take_turns() -> None:
        while not over.is_set():
            await asyncio.sleep(0)
            turns.append(time.process_time())

    async with broker_here(tmp_path, demo_world()) as here, aiohttp.ClientSession() as session:
        zeros.expect_callers(here.broker.telemetry.metrics, [f"caller-{number}" for number in range(CALLERS)])
        taking = asyncio.create_task(take_turns())
        async with session.get(f"http://127.0.0.1:{here.broker.http_port}/metrics") as answer:
            text = await answer.read()
        over.set()
        await taking
    longest = max(later - earlier for earlier, later in pairwise(turns))
    whole = turns[-1] - turns[0]

    assert text.count(b"caller-") > 3 * CALLERS
    assert longest < whole / 4, f"one step took {longest:.3f} s of {whole:.3f} s of processor time"
