"""A broker in which an incident is staged, and the operator who is called: doctor, commands, reloads."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.app.running_broker import RunningBroker, running_broker
from broker.config.load import parse_config
from broker.domain.replica.health import ReloadOutcome
from broker.simulator import World
from broker.simulator.server import running_simulator
from tests.cli.running import run
from tests.incidents.alerts import Series, fires, has_promtool, scraped
from tests.integration.suites.three_kinds import call_back, tables, three_kinds_world
from tests.kit.processes.fleet import Replica, connect, until

COMMAND = re.compile(
    r"wecom-broker ((?:retry|shares sync|events (?:dead|retry)|suites list|quotas) [^;,()]*)"
)
"""A command in a remedy; those that need what only the operator knows are typed by the incident."""


@dataclass(slots=True)
class Told:
    """What the operator was told."""

    line: str = ""
    """The doctor's line."""
    alert: str = ""
    remedy: str = ""
    worked: bool = False


@dataclass
class Ground:
    """A running broker, its WeCom, and what the operator does."""

    world: World
    folder: Path
    config: dict[str, Any]
    broker: RunningBroker
    address: str
    crm: Replica
    told: Told
    options: tuple[str, ...] = ()
    """Who the operator is."""
    before: Series = field(default_factory=dict)

    @property
    def callbacks(self) -> str:
        """Return the base of the callback URLs."""
        return f"http://127.0.0.1:{self.broker.http_port}/callback"

    async def doctor(self) -> list[dict[str, str]]:
        """Return what the doctor finds, without what is well."""
        return [
            found for found in read_findings(await self.typed("doctor", "--json")) if found["level"] != "OK"
        ]

    async def named(self, level: str, subject: str, cause: str, alert: str) -> str:
        """Return the remedy, once the doctor names the cause; the alert fires on what is scraped then."""
        found: dict[str, str] = {}

        async def is_named() -> bool:
            for finding in await self.doctor():
                if (finding["level"], finding["subject"]) == (level, subject) and cause in finding["problem"]:
                    found.update(finding)
                    return True
            return False

        await until(is_named, within=40, pause=0.2)
        self.told.line = f"{found['level']} {found['subject']}: {found['problem']}"
        self.told.remedy = found["remedy"]
        assert found["remedy"]
        await self.alerted(alert)
        return found["remedy"]

    async def alerted(self, alert: str, shown: Series | None = None) -> None:
        """Have promtool judge whether it fires on what was scraped, or as soon as a scrape shows it."""
        self.told.alert = alert
        if not has_promtool():
            self.told.alert += ": not judged, no promtool"
            return

        async def does_fire() -> bool:
            return await fires(alert, self.before, shown or self.metrics(), self.folder)

        await until(does_fire, within=40, pause=0.5)

    async def name(self) -> str:
        """Return the replica's name."""
        return str((await self.crm.admin.GetStatus(pb.GetStatusRequest())).replica)

    def metrics(self) -> Series:
        """Return what a scrape shows."""
        return scraped(b"".join(self.broker.telemetry.metrics.exposition()).decode())

    async def typed(self, *words: str) -> str:
        """Type a command, and return what it prints."""
        result = await asyncio.to_thread(run, *words, f"--address={self.address}", *self.options)
        return result.output

    async def carried_out(self, remedy: str) -> str:
        """Type the command that the remedy prints, and return what that prints."""
        [printed] = COMMAND.findall(remedy)
        return await self.typed(*shlex.split(printed))

    async def reload(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the configuration file, as it is read again by itself or at SIGHUP."""
        change(self.config)
        assert ReloadOutcome.APPLIED is await self.broker.reload.reload()

    def worked(self) -> None:
        """Note that the remedy worked: callers get again what they could not get."""
        self.told.worked = True


def read_findings(printed: str) -> list[dict[str, str]]:
    """Return what the doctor found; the log of a broker in this process may stand beside it."""
    [line] = [line for line in printed.splitlines() if line.startswith('{"ok"')]
    found: list[dict[str, str]] = json.loads(line)["findings"]
    return found


Stage = Callable[..., Awaitable[None]]
"""Stages the incident, and is the operator who mends it."""


@asynccontextmanager
async def ground(
    folder: Path,
    told: Told,
    change: Callable[[dict[str, Any]], object] = lambda _: None,
    *,
    store_url: str = "",
    world: World | None = None,
    address: str = "",
    options: tuple[str, ...] = (),
    has_tickets: bool = True,
    metadata: Mapping[str, str] | None = None,
) -> AsyncIterator[Ground]:
    """Run a broker with a self-built app, a suite and a 代开发 app; `change` changes its configuration."""
    async with AsyncExitStack() as stack:
        if world is None:
            world = three_kinds_world()
        url = await stack.enter_async_context(running_simulator(world))
        config = deepcopy(tables(url, store_url or f"sqlite:///{folder}/broker.db"))
        change(config)
        config["wecom"]["api_base"] = config["wecom"]["api_base"].replace("PORT", url.rpartition(":")[2])
        broker = await stack.enter_async_context(
            running_broker(parse_config(config), lambda: parse_config(config))
        )
        call_back(world, f"http://127.0.0.1:{broker.http_port}/callback")
        for suite in ("market", "tailored") if has_tickets else ():
            world.console.tickets.push(suite)
        await world.callbacks.outbox.settled()
        where = address or broker.grpc_addresses[0]
        (crm,) = await stack.enter_async_context(connect(where))
        made = Ground(world, folder, config, broker, where, crm, told, options)
        made.before = made.metrics()
        yield made
