"""The broker that is fuzzed: in a process of its own, with every kind of app, and WeCom behind it."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from wecom_broker import Broker

from broker.simulator.server import running_simulator
from tests.integration.suites.three_kinds import CRM, MARKET, TAILORED, call_back, tables, three_kinds_world
from tests.kit.processes.broker_process import BrokerProcess

REQUESTS = int(os.environ.get("REQUESTS", "2000"))
"""How many requests of each sort are judged, after as many to warm up; `make fuzz` sends more."""
SEED = int(os.environ.get("SEED", "20261127"))
ANSWERED_WITHIN_SECONDS = 30.0
"""A request that takes longer counts as hung: the longest wait of a broker is 25 s."""
GROWTH = 1.2
"""By how much the memory may have grown in the end."""


@dataclass(frozen=True)
class Target:
    """The running broker."""

    process: BrokerProcess
    wecom_url: str

    def rss(self) -> int:
        """Return its memory in bytes."""
        assert self.process.process
        return int(psutil.Process(self.process.process.pid).memory_info().rss)

    def complaints(self) -> list[str]:
        """Return the lines of its log that tell of a mistake of the broker's own."""
        lines = self.process.log.read_text(errors="replace").splitlines()
        return [line[:500] for line in lines if "Traceback" in line or "unexpected error" in line]

    async def endures(self, send: Callable[[int], Awaitable[None]]) -> str:
        """Have requests sent, and check what became of the broker; return its memory before and after."""
        # The first half allocates what is allocated once. The heap settles slowly, with the same objects in
        # it: 126 MB at the start, 148 after 20,000 requests, 161 after 65,000.
        await send(REQUESTS)
        before = self.rss()
        await send(REQUESTS)
        await self.still_serves()
        after = self.rss()
        assert (SEED, []) == (SEED, self.complaints())
        assert after <= GROWTH * before, f"{before} then {after}, seed {SEED}"
        return f"{before / 1e6:.0f} then {after / 1e6:.0f}"

    async def still_serves(self) -> None:
        """Check that a warm call is answered."""
        async with Broker(self.process.address) as broker:
            assert (await broker.access_token(CRM)).value


@asynccontextmanager
async def target(folder: Path) -> AsyncIterator[Target]:
    """Run it inside the block."""
    world = three_kinds_world()
    async with running_simulator(world) as url:
        config = tables(url, f"sqlite:///{folder}/broker.db")
        del config["server"]
        process = BrokerProcess(folder / "broker", config, log_level="info")
        process.launch()
        try:
            await asyncio.to_thread(process.await_ready)
            call_back(world, f"http://127.0.0.1:{process.http_port}/callback")
            for suite in (MARKET, TAILORED):
                world.console.tickets.push(suite)
            await world.callbacks.outbox.settled()
            found = Target(process, url)
            await found.still_serves()
            yield found
        finally:
            await asyncio.to_thread(process.kill)
