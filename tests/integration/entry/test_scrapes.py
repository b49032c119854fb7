"""A scrape of very many series lets calls go on in between."""

import asyncio
from pathlib import Path

import aiohttp

from broker.simulator.demo import demo_world
from broker.telemetry import zeros
from broker.telemetry.exposition import SAMPLES
from tests.kit.broker_here import broker_here

CALLERS = 2_000


async def test_calls_have_their_turns_during_a_scrape(tmp_path: Path) -> None:
    over, turns = asyncio.Event(), 0

    async def take_turns() -> None:
        nonlocal turns
        while not over.is_set():
            await asyncio.sleep(0)
            turns += 1

    async with broker_here(tmp_path, demo_world()) as here, aiohttp.ClientSession() as session:
        zeros.expect_callers(here.broker.telemetry.metrics, [f"caller-{number}" for number in range(CALLERS)])
        async with session.get(f"http://127.0.0.1:{here.broker.http_port}/livez") as answer:
            await answer.read()
        taking = asyncio.create_task(take_turns())
        async with session.get(f"http://127.0.0.1:{here.broker.http_port}/metrics") as answer:
            text = await answer.read()
        over.set()
        await taking

    assert text.count(b"caller-") > 3 * CALLERS
    assert turns > text.count(b"caller-") / SAMPLES, "one after each piece, at least"
