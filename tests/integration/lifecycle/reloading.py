"""A broker in its own process whose configuration changes while it serves."""

import re
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from wecom_broker.v1 import admin_service_pb2 as admin_pb

from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import APP, Replica, SimulatorProcess, configuration, connect, until


class Reloading:
    """A broker and its configuration: `tables`, unless others replace them."""

    def __init__(self, folder: Path, wecom: SimulatorProcess, **tables: Any) -> None:
        self._wecom = wecom
        self._folder = folder
        self._tables = tables
        self.broker = BrokerProcess(folder, self.config(), log_level="info", forked=True)

    def config(self, *apps: Any, **tables: Any) -> dict[str, Any]:
        """Return a configuration of apps; without any, of the simulator's."""
        store = f"sqlite:///{self._folder}/broker.db"
        return configuration(self._wecom.url, store, apps or (APP,), **{**self._tables, **tables})

    def count(self, outcome: str) -> int:
        """Return how many reloads ended so."""
        return reloads(self.broker, outcome)

    async def reload(self, config: Mapping[str, Any], *, outcome: str = "applied") -> None:
        """Change the file, send SIGHUP, and return once that is done."""
        await reload(self.broker, config, outcome=outcome)


def reloads(broker: BrokerProcess, outcome: str) -> int:
    """Return how many reloads of a broker ended so."""
    name = f'wecom_broker_config_reloads_total{{outcome="{outcome}"}}'
    found = re.search(rf"^{re.escape(name)} (\S+)$", broker.metrics(), re.MULTILINE)
    return int(float(found[1])) if found else 0


async def reload(broker: BrokerProcess, config: Mapping[str, Any], *, outcome: str = "applied") -> None:
    """Change a broker's file, send SIGHUP, and return once that is done."""
    before = reloads(broker, outcome)
    broker.configure(config)
    broker.send(signal.SIGHUP)
    await until(lambda: reloads(broker, outcome) > before)


@asynccontextmanager
async def replica_of(here: Reloading) -> AsyncIterator[Replica]:
    async with connect(here.broker.address) as (replica,):
        yield replica


async def status(replica: Replica) -> admin_pb.ConfigStatus:
    return (await replica.admin.GetStatus(admin_pb.GetStatusRequest())).config


def http_status(here: Reloading, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{here.broker.http_port}{path}", timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
