"""A simulated WeCom and a broker in this process, for `dev` and `demo`."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from broker.app.running_broker import RunningBroker, running_broker
from broker.config.load import parse_config
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_KEYS, CALLBACK_TOKEN, PARENT, SECRET, demo_world
from broker.simulator.server import running_simulator
from broker.simulator.world import World
from broker.simulator.world.events.callback import Callback
from broker.simulator.world.tokens import Habit

APP = "crm"


@dataclass(frozen=True, slots=True)
class Playground:
    """The running simulator and broker."""

    world: World
    wecom_url: str
    broker: RunningBroker
    address: str


@asynccontextmanager
async def playground(
    *, grpc_port: int = 0, http_port: int = 0, wecom_port: int = 0, log_level: str = "warning"
) -> AsyncIterator[Playground]:
    """Run both until the context exits; the store is a temporary file. Raises `CannotStart`, `OSError`."""
    world = demo_world()
    world.settings.habit = Habit.NEW_VALUE_OLD_ALIVE
    with tempfile.TemporaryDirectory(prefix="wecom-broker-") as folder:
        async with running_simulator(world, port=wecom_port) as url:
            config = parse_config(
                {
                    "server": {
                        "grpc": [f"127.0.0.1:{grpc_port}"],
                        "http": f"127.0.0.1:{http_port}",
                        "reflection": True,
                        "drain_seconds": 1,
                    },
                    "store": {"url": f"sqlite:///{folder}/wecom-broker.db"},
                    "wecom": {"api_base": url},
                    "log": {"level": log_level},
                    "apps": [
                        {
                            "name": APP,
                            "corp_id": PARENT.corpid,
                            "agent_id": PARENT.agentid,
                            "secret": SECRET,
                            "share_kinds": ["corp_group", "supply_chain"],
                            "callback": {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY},
                        }
                    ],
                }
            )
            async with running_broker(config) as broker:
                url_of_app = f"http://127.0.0.1:{broker.http_port}/callback/{APP}"
                world.callbacks.set(Callback(url_of_app, CALLBACK_KEYS))
                yield Playground(world, url, broker, broker.grpc_addresses[0])
