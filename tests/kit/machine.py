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


@asynccontextmanager
async def busy() -> AsyncIterator[Busy]:
    """Measure, inside the block, how much longer short sleeps take than requested."""
    found = Busy()

    async def nap() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)
            found.seconds += max(time.monotonic() - began - 2 * LOOK_SECONDS, 0.0)

    napping = asyncio.create_task(nap())
    try:
        yield found
    finally:
        napping.cancel()
