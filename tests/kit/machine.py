"""Measures how much of a measured time was lost because the machine was busy with other work."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

LOOK_SECONDS = 0.02


@dataclass
class Busy:
    """How long this loop was ready to run but did not."""

    seconds: float = 0.0


async def nap(seconds: float) -> float:
    """Sleep, and return how much longer that took than it should: above all, others had the processor."""
    began = time.monotonic()
    await asyncio.sleep(seconds)
    return max(time.monotonic() - began - seconds - LOOK_SECONDS, 0.0)


@asynccontextmanager
async def busy() -> AsyncIterator[Busy]:
    """Measure, inside the block, how much longer short sleeps take than requested."""
    found = Busy()

    async def measure() -> None:
        while True:
            found.seconds += await nap(LOOK_SECONDS)

    measuring = asyncio.create_task(measure())
    try:
        yield found
    finally:
        measuring.cancel()
