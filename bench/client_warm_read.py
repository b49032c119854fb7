"""Measure how many tokens a second the client reads from memory: `python -m bench.client_warm_read`.

The broker has its own process: the sync client has an event loop in a thread, and in a process with two
event loops gRPC delivers the events of one through the other.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

from wecom_broker import Broker, sync

from bench.rows import Row, tell
from bench.serving import in_process
from tests.client.fake_broker import FakeBroker

SECONDS = 2.0
BATCH = 10_000
CORPS = [f"ww{number}" for number in range(100)]


async def serve(pipe: Connection) -> None:
    """Serve a broker that answers at once."""
    async with FakeBroker() as fake:
        pipe.send(fake.address)
        await asyncio.Event().wait()


async def measure_async(address: str) -> None:
    """Tell the rates of the asyncio client: one target, and a memory that holds a hundred."""
    async with Broker(address) as broker:
        for corp in CORPS:
            await broker.access_token("crm", corp=corp)

        async def one() -> None:
            for _ in range(BATCH):
                await broker.access_token("crm", corp="ww1")

        async def many() -> None:
            for number in range(BATCH):
                await broker.access_token("crm", corp=CORPS[number % 100])

        report("async", await per_second(one), at_least=2.5e6)
        report("async, 100 targets", await per_second(many))


async def measure_sync(broker: sync.Broker) -> None:
    """Tell the rate of the sync client. A warm read never blocks, so it may run in a loop."""
    broker.access_token("crm", corp="ww1")

    async def one() -> None:
        for _ in range(BATCH):
            broker.access_token("crm", corp="ww1")

    report("sync", await per_second(one), at_least=3e6)


async def per_second(batch: Callable[[], Awaitable[None]]) -> float:
    """Return the reads per second over at least `SECONDS`."""
    batches = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS:
        await batch()
        batches += 1
    return batches * BATCH / elapsed


def report(kind: str, rate: float, at_least: float | None = None) -> None:
    """Tell one result."""
    tell(Row(f"client, warm read, {kind}", rate, "/s", "calls in a loop, in one thread", at_least=at_least))


def run() -> None:
    """Tell a row for each kind of client."""
    cpu = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    with in_process(serve, cpu) as (address, _):
        asyncio.run(measure_async(address))
        with sync.Broker(address) as broker:
            asyncio.run(measure_sync(broker))


if __name__ == "__main__":
    run()
