"""Measure how long 200 cold callers on each of 3 brokers wait for one child's token.

Compared with the upstream's own delay: three calls, one after the other (token, share list, child's token).
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import grpc
import uvloop

from bench.serving import METHOD, REQUEST
from broker.cli.demo.playground import APP
from broker.simulator.demo import PARENT, SECRET, demo_world
from broker.simulator.server import running_simulator
from broker.simulator.world.faults import Delay
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.redis_server import RedisServer

BROKERS, CALLERS, ROUNDS = 3, 200, 3
DELAY_SECONDS = 0.4
SEAL_KEY = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtISE="


def run() -> None:
    """Print the ratio."""
    ratios = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            took, calls = uvloop.run(_herd(Path(folder)))
        ratios.append(took / (3 * DELAY_SECONDS))
        own = 3 * DELAY_SECONDS
        print(f"herd of {BROKERS} × {CALLERS}: {took:.2f} s, upstream's own {own:.2f} s, {calls} calls")
    print(f"{'ratio to upstream':20} {statistics.median(ratios):.2f} (median of {ROUNDS})")


async def _herd(folder: Path) -> tuple[float, int]:
    world = demo_world()
    world.faults.add("*", Delay(DELAY_SECONDS))
    async with running_simulator(world) as url:
        with RedisServer(folder / "redis") as redis:
            app = {"name": APP, "corp_id": PARENT.corpid, "agent_id": PARENT.agentid, "secret": SECRET}
            config = {
                "store": {"url": redis.url, "seal_keys": [{"id": "k1", "key": SEAL_KEY}]},
                "wecom": {"api_base": url},
                "apps": [app],
            }
            brokers = [
                BrokerProcess(folder / f"broker-{number}", config, log_level="info")
                for number in range(BROKERS)
            ]
            try:
                for broker in brokers:
                    await asyncio.to_thread(broker.start)
                return await _ask([broker.address for broker in brokers]), world.log.calls()
            finally:
                for broker in brokers:
                    broker.__exit__(None, None, None)


async def _ask(addresses: list[str]) -> float:
    channels = [grpc.aio.insecure_channel(address) for address in addresses]
    await asyncio.gather(*(channel.channel_ready() for channel in channels))
    body = REQUEST.SerializeToString()
    began = time.perf_counter()
    await asyncio.gather(*(channel.unary_unary(METHOD)(body) for channel in channels for _ in range(CALLERS)))
    took = time.perf_counter() - began
    for channel in channels:
        await channel.close()
    return took


if __name__ == "__main__":
    run()
