"""A broker in this process with a simulated WeCom, for what services do in a corp's name."""

from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from wecom_broker.v1 import admin_service_pb2_grpc as admin_grpc
from wecom_broker.v1 import identity_service_pb2_grpc as identity_grpc
from wecom_broker.v1 import js_sdk_service_pb2_grpc as js_grpc
from wecom_broker.v1 import mini_program_service_pb2_grpc as mini_grpc
from wecom_broker.v1 import token_service_pb2_grpc as token_grpc
from wecom_broker.v1 import wecom_api_service_pb2_grpc as api_grpc
from wecom_broker.v1.target_pb2 import Target

from broker.app.running_broker import RunningBroker, running_broker
from broker.config.load import parse_config
from broker.config.schema import Config
from broker.simulator.demo import PARENT, SECRET, demo_world
from broker.simulator.server import running_simulator
from broker.simulator.world import World

APP = "crm"
CHILD, CHILD_AGENT = "ww1child000000001", 1000010
SUPPLIER, SUPPLIER_AGENT = "wpSupplier_000000001", 1000020


@dataclass(frozen=True)
class Acting:
    """What a test holds."""

    world: World
    broker: RunningBroker
    channel: grpc.aio.Channel
    config: Config

    @property
    def js_sdk(self) -> Any:
        return js_grpc.JsSdkServiceStub(self.channel)

    @property
    def identity(self) -> Any:
        return identity_grpc.IdentityServiceStub(self.channel)

    @property
    def mini(self) -> Any:
        return mini_grpc.MiniProgramServiceStub(self.channel)

    @property
    def api(self) -> Any:
        return api_grpc.WecomApiServiceStub(self.channel)

    @property
    def admin(self) -> Any:
        return admin_grpc.AdminServiceStub(self.channel)

    @property
    def tokens(self) -> Any:
        return token_grpc.TokenServiceStub(self.channel)

    @asynccontextmanager
    async def another(self) -> AsyncIterator["Acting"]:
        """Run another broker beside it; the store must be one that takes two."""
        async with _serving(self.world, self.config) as found:
            yield found


def tables_of(wecom_url: str, folder: Path, app: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a configuration of the simulator's app."""
    return {
        "server": {"grpc": ["127.0.0.1:0"], "http": "127.0.0.1:0", "drain_seconds": 0},
        "store": {"url": f"sqlite:///{folder}/broker.db"},
        "wecom": {"api_base": wecom_url},
        "apps": [
            {
                "name": APP,
                "corp_id": PARENT.corpid,
                "agent_id": PARENT.agentid,
                "secret": SECRET,
                "share_kinds": ["corp_group", "supply_chain"],
                **(app or {}),
            }
        ],
    }


@asynccontextmanager
async def acting(folder: Path, app: Mapping[str, Any] | None = None, **tables: Any) -> AsyncIterator[Acting]:
    """Run all of it until left; `tables` are added to the configuration."""
    world = demo_world()
    async with running_simulator(world) as url:
        given = tables_of(url, folder, app)
        for name, table in tables.items():
            given[name] = {**given.get(name, {}), **table} if isinstance(table, Mapping) else table
        async with _serving(world, parse_config(given)) as found:
            yield found


@asynccontextmanager
async def _serving(world: World, config: Config) -> AsyncIterator[Acting]:
    # Subchannels are shared in a process: without a pool of its own, tests would share connections.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with (
        running_broker(config) as broker,
        grpc.aio.insecure_channel(broker.grpc_addresses[0], options=options) as channel,
    ):
        yield Acting(world, broker, channel, config)


def target(corp_id: str = "") -> Target:
    """Return the app in that corp."""
    return Target(app=APP, corp_id=corp_id)


async def refusal_of(call: Awaitable[object]) -> tuple[str, dict[str, str]]:
    """Return the reason and metadata with which the call fails, and fail if it does not."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    raise AssertionError(f"the call was to fail and returned {type(answer).__name__}")


async def collected(stream: AsyncIterator[Any]) -> list[Any]:
    """Return all messages of a stream."""
    return [message async for message in stream]


def reason_of(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    """Return the reason and metadata of an error."""
    from google.rpc.error_details_pb2 import ErrorInfo  # noqa: PLC0415
    from grpc_status import rpc_status  # noqa: PLC0415

    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    for detail in status.details:
        info = ErrorInfo()
        if detail.Unpack(info):
            return info.reason, dict(info.metadata)
    raise AssertionError("no ErrorInfo")
