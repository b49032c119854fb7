"""A simulated WeCom and a broker in this process, for `dev` and `demo`."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from broker.app.running_broker import RunningBroker, running_broker
from broker.config.load import parse_config
from broker.domain.suites.ticket import PUSH_INTERVAL
from broker.simulator import provider_demo
from broker.simulator.crypto import CallbackKeys
from broker.simulator.demo import CALLBACK_KEYS, PARENT, SECRET, demo_world
from broker.simulator.server import running_simulator
from broker.simulator.world import World
from broker.simulator.world.events.callback import Callback
from broker.simulator.world.tokens import Habit

APP = "crm"
SUITE, TEMPLATE, PROVIDER = "market", "tailored", "acme"
CHILDREN = 3
"""Of the corp group that may install the provider's suites."""


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
    provider_demo.add_provider(world)
    provider_demo.add_group(world, CHILDREN)
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
                            "callback": _table(CALLBACK_KEYS),
                        },
                        {
                            "name": SUITE,
                            "kind": "third_party",
                            "suite_id": provider_demo.MARKET,
                            "suite_secret": provider_demo.MARKET_SECRET,
                            "provider": PROVIDER,
                            "callback": _table(provider_demo.CALLBACK_KEYS[SUITE]),
                        },
                        {
                            "name": TEMPLATE,
                            "kind": "customized",
                            "suite_id": provider_demo.TAILORED,
                            "suite_secret": provider_demo.TAILORED_SECRET,
                            "provider": PROVIDER,
                            "callback": _table(provider_demo.CALLBACK_KEYS[TEMPLATE]),
                            "corp_callback": _table(provider_demo.CALLBACK_KEYS[TEMPLATE]),
                        },
                    ],
                    "providers": [
                        {
                            "name": PROVIDER,
                            "corp_id": provider_demo.PROVIDER,
                            "secret": provider_demo.PROVIDER_SECRET,
                            "callback": _table(provider_demo.CALLBACK_KEYS[PROVIDER]),
                        }
                    ],
                }
            )
            async with running_broker(config) as broker:
                callbacks = f"http://127.0.0.1:{broker.http_port}/callback"
                world.callbacks.set(Callback(f"{callbacks}/{APP}", CALLBACK_KEYS))
                _call_back(world, callbacks)
                yield Playground(world, url, broker, broker.grpc_addresses[0])


def _call_back(world: World, callbacks: str) -> None:
    """Have WeCom send the events of the provider and its suites to the broker, and push their tickets."""
    provider_demo.call_back(world, callbacks)
    for suite in (SUITE, TEMPLATE):
        world.console.tickets.push(suite)
    world.console.tickets.every(PUSH_INTERVAL.total_seconds())


def _table(keys: CallbackKeys) -> dict[str, str]:
    return {"token": keys.token, "aes_key": keys.encoding_aes_key}
