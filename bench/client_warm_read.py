"""Measure how many tokens a second the client reads from memory: `python -m bench.client_warm_read`."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

from wecom_broker import Broker, sync

from tests.client.fake_broker import FakeBroker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECONDS = 2.0
BATCH = 10_000


async def warm_async(broker: Broker) -> None:
    """Read one batch."""
    for _ in range(BATCH):
        await broker.access_token("crm", corp="ww1")


async def warm_async_among_many(broker: Broker) -> None:
    """Read one batch from a memory that holds a hundred targets."""
    for number in range(BATCH):
        await broker.access_token("crm", corp=CORPS[number % 100])


async def warm_sync(broker: sync.Broker) -> None:
    """Read one batch. It never blocks, so it may run in the loop."""
    for _ in range(BATCH):
        broker.access_token("crm", corp="ww1")


async def per_second(batch: Callable[[], Awaitable[None]]) -> float:
    """Return the reads per second over at least `SECONDS`."""
    batches = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS:
        await batch()
        batches += 1
    return batches * BATCH / elapsed


async def main() -> None:
    """Print a line for each kind of client."""
    async with FakeBroker() as fake, Broker(fake.address) as broker:
        for corp in CORPS:
            await broker.access_token("crm", corp=corp)
        report("async", await per_second(lambda: warm_async(broker)))
        report("async, 100 targets", await per_second(lambda: warm_async_among_many(broker)))
        threaded = sync.Broker(fake.address)
        await asyncio.to_thread(threaded.access_token, "crm", corp="ww1")
        report("sync", await per_second(lambda: warm_sync(threaded)))
        await asyncio.to_thread(threaded.close)


def report(kind: str, rate: float) -> None:
    """Write one result."""
    sys.stdout.write(f"{kind}: {rate:,.0f} warm reads per second\n")


CORPS = [f"ww{number}" for number in range(100)]

if __name__ == "__main__":
    asyncio.run(main())
