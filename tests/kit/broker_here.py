"""A broker and a simulated WeCom in the test's own process: real gRPC and HTTP, started in milliseconds."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.app.running_broker import RunningBroker, running_broker
from broker.app.tracing.composed import AllTracer
from broker.config.load import parse_config
from broker.simulator import World, running_simulator
from tests.kit.processes.fleet import APP, configuration


@dataclass(frozen=True)
class BrokerHere:
    """The running broker and its simulated WeCom."""

    world: World
    broker: RunningBroker
    address: str
    http: str


@asynccontextmanager
async def broker_here(
    folder: Path,
    world: World,
    apps: Sequence[str] = (APP,),
    *,
    tracer: AllTracer | None = None,
    **tables: Any,
) -> AsyncIterator[BrokerHere]:
    """Run both on an embedded store inside the block; `tables` are added to the configuration."""
    async with running_simulator(world) as url:
        server = {
            "grpc": ["127.0.0.1:0"],
            "http": "127.0.0.1:0",
            "drain_seconds": 0,
            **tables.pop("server", {}),
        }
        config = configuration(url, f"sqlite:///{folder}/broker.db", apps, server=server, **tables)
        async with running_broker(parse_config(config), tracer=tracer) as broker:
            address = broker.grpc_addresses[0]
            yield BrokerHere(world, broker, address, f"http://127.0.0.1:{broker.http_port}")
