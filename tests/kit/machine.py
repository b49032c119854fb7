"""How much of a measured time is the machine's own: other work kept this process from running."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

LOOK_SECONDS = 0.02


@dataclass
class Busy:
    """For how long this loop wanted to run, and could not."""

    seconds: float = 0.0


@asynccontextmanager
async def busy() -> AsyncIterator[Busy]:
    """Measure until left by how much short naps are overslept."""
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
