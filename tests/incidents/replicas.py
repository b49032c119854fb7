"""Incidents of a replica: its clock is wrong, or it is stuck."""

import asyncio
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from broker.adapters.system import SystemClock
from broker.app import running_broker
from tests.cli.running import run
from tests.incidents.alerts import fires, has_promtool, scraped
from tests.incidents.ground import Told, ground, read_findings
from tests.kit.processes.fleet import connect, running_fleet, until
from tests.kit.processes.redis_server import RedisServer

WRONG_SECONDS = 600.0


async def clock_wrong(folder: Path, told: Told) -> None:
    """The machine's clock is ten minutes ahead of the store's and of WeCom's."""
    ahead = WRONG_SECONDS
    clock = partial(SystemClock, machine=lambda: time.time() + ahead)
    with pytest.MonkeyPatch.context() as patch, RedisServer(folder / "redis") as server:
        patch.setattr(running_broker, "SystemClock", clock)
        async with ground(folder, told, store_url=server.url) as here:
            assert (await here.crm.token()).value
            subject = f"clock {await here.name()}"
            remedy = await here.named("WARN", subject, "600 s ahead", "WecomBrokerStoreClockOff")
            assert "set the clock that is wrong, by NTP" in remedy
            ahead = 0.0

            async def is_right() -> bool:
                return not [found for found in await here.doctor() if found["subject"] == subject]

            await until(is_right, pause=1)
            assert (await here.crm.token()).value
            here.worked()


async def replica_stuck(folder: Path, told: Told) -> None:
    with running_fleet(folder, 2) as fleet:
        stuck, other = fleet.brokers
        before = scraped(stuck.metrics())
        async with connect(other.address) as (replica,):
            stuck.send(signal.SIGSTOP)
            found: dict[str, str] = {}

            async def is_named() -> bool:
                done = await asyncio.to_thread(run, "doctor", f"--address={other.address}", "--json")
                lines = [each for each in read_findings(done.output) if each["level"] == "FAIL"]
                found.update(next((each for each in lines if "no word for" in each["problem"]), {}))
                return bool(found)

            await until(is_named, within=120, pause=2)
            told.line = f"{found['level']} {found['subject']}: {found['problem']}"
            told.remedy, told.alert = found["remedy"], "WecomBrokerDown"
            assert "look at its supervisor" in told.remedy
            if has_promtool():
                assert await fires(told.alert, before, scraped("", up=False), folder)
            stuck.send(signal.SIGCONT)
            stuck.kill()
            stuck.start()
            assert (await replica.token()).value
            async with connect(stuck.address) as (again,):
                assert (await again.token()).value
            told.worked = True
