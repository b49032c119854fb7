"""The image's health check, against brokers and others."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.deploy.files import DEPLOY
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.ports import free_port


def ask(address: str, service: str = "") -> tuple[int, str]:
    environment = {
        **os.environ,
        "WECOM_BROKER_HEALTH_ADDRESS": address,
        "WECOM_BROKER_HEALTH_SERVICE": service,
    }
    result = subprocess.run(
        [sys.executable, "-I", str(DEPLOY / "health_check.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "" == result.stderr
    return result.returncode, result.stdout


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    folder = tmp_path_factory.mktemp("broker")
    config = {
        "server": {"grpc": [f"127.0.0.1:{free_port()}", f"unix://{folder}/broker.sock"]},
        "store": {"url": f"sqlite:///{folder}/store.db"},
        "wecom": {"api_base": "http://127.0.0.1:1"},
        "apps": [{"name": "crm", "corp_id": "ww0parent000000001", "agent_id": 1000002, "secret": "none"}],
    }
    with BrokerProcess(folder, config):
        yield config["server"]["grpc"]


@asynccontextmanager
async def server_that_is(status: int) -> AsyncIterator[str]:
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    await servicer.set("", status)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.mark.parametrize("service", ["", "wecom_broker.v1.TokenService"])
def test_a_broker_that_serves_is_healthy(broker: list[str], service: str):
    address, socket = broker

    assert (0, f"{address}: SERVING\n") == ask(address, service)
    assert (0, f"{socket}: SERVING\n") == ask(socket, service)


def test_a_service_that_the_broker_does_not_have_is_not_healthy(broker: list[str]):
    code, said = ask(broker[0], "no.such.Service")

    assert 1 == code
    assert "NOT_FOUND" in said


async def test_a_broker_that_does_not_serve_is_not_healthy():
    async with server_that_is(health_pb2.HealthCheckResponse.NOT_SERVING) as address:
        assert (1, f"{address}: NOT_SERVING\n") == await asyncio.to_thread(ask, address)


def test_no_broker_is_not_healthy():
    code, said = ask(f"127.0.0.1:{free_port()}")

    assert 1 == code
    assert "UNAVAILABLE" in said
