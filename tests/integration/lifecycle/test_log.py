"""The log of a broker whose surroundings fail: JSON in each line, and no stack trace for what is foreseen."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

import broker
from broker.simulator import demo_world, running_simulator
from broker.simulator.world.faults import Errcode
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import APP, configuration, connect, refused, until
from tests.kit.processes.redis_server import RedisServer

pytestmark = pytest.mark.slow
GARBAGE = (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(range(256)))
CALLS = 20


def send(address: str, sent: bytes) -> None:
    """Send what no client of the broker's sends, and leave before the answer."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(sent)


def events(process: BrokerProcess) -> list[dict[str, Any]]:
    """Return what was logged. Fails if a line is no JSON."""
    return [json.loads(line) for line in process.log.read_text().splitlines()]


async def test_what_fails_is_a_line_of_its_own_once_and_never_a_stack_trace(tmp_path: Path) -> None:
    world = demo_world()
    with RedisServer(tmp_path / "redis") as redis:
        async with running_simulator(world) as url:
            process = BrokerProcess(tmp_path / "broker", configuration(url, redis.url))
            process.launch()
            await asyncio.to_thread(process.await_ready)
            async with connect(process.address) as (replica,):
                world.faults.add("gettoken", Errcode(60020, "not allow, from ip: 203.0.113.9"))
                for _ in range(CALLS):
                    assert "IP_NOT_TRUSTED" == (await refused(replica.token())).reason
                redis.kill()
                await until(lambda: "the store is unavailable" in process.log.read_text())
                await refused(replica.token("ww-made-up"))
                for sent in GARBAGE:
                    for address in (process.address, f"127.0.0.1:{process.http_port}"):
                        await asyncio.to_thread(send, address, sent)
        # WeCom is gone, too.
        async with connect(process.address) as (replica,):
            await refused(replica.token("ww-made-up-too"))
        assert 0 == await asyncio.to_thread(process.stop)
    logged = events(process)
    named = [each["event"] for each in logged]

    [serving] = [each for each in logged if each["event"] == "serving"]
    assert (broker.__version__, [process.address], process.http_port, [APP], []) == tuple(
        serving[name] for name in ("version", "grpc", "http_port", "apps", "callers")
    )
    assert redis.url.removeprefix("redis://") in serving["store"]
    assert 1 == named.count("refresh failed") == named.count("refused earlier"), "of one cause in one minute"
    assert ["203.0.113.9"] * 2 == [each["wecom_ip"] for each in logged if "wecom_ip" in each]
    assert [] == [each for each in logged if "exception" in each or "Traceback" in str(each)]
