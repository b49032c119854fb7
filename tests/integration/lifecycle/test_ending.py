"""How brokers end: in grace under load, at once when told twice, and cleanly at a Ctrl-C."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2
from wecom_broker import Broker
from wecom_broker.v1 import token_service_pb2 as pb

from tests.integration.conftest import Figures
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.environment import environment
from tests.kit.processes.fleet import PATIENCE, Fleet, Replica, child, connect, target, until
from tests.kit.processes.load import steady_load
from tests.kit.time_bounds import check_took

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
DRAIN_SECONDS = 1.0
"""As the kit configures its brokers."""

pytestmark = pytest.mark.slow


async def ended(broker: BrokerProcess) -> tuple[int, float]:
    """Wait for the end; return the exit code, and the seconds that it took."""
    process = broker.process
    assert process
    took = await until(lambda: process.poll() is not None)
    return process.returncode, took


async def test_sigterm_under_load_fails_no_call_of_the_clients_channel(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    leaving, staying, _ = fleet.brokers
    both = f"ipv4:{leaving.address},{staying.address}"
    async with Broker(both) as client, connect(leaving.address, app=app) as (direct,):
        replica = Replica(client.channel, app)
        await replica.token(child(1))
        # A watch is open too: it must not keep the broker from ending.
        await client.access_token(app, corp=child(2))
        states = direct.health.Watch(health_pb2.HealthCheckRequest(service=""))
        assert SERVING == (await states.read()).status
        async with steady_load([replica], [child(1), child(2)], callers=20, pause=0.005) as load:
            await until(lambda: load.calls > 200)
            leaving.send(signal.SIGTERM)
            assert NOT_SERVING == (await states.read()).status, "told before the connection ends"
            code, took = await ended(leaving)
            after = load.calls
            await until(lambda: load.calls > after + 200)
        states.cancel()
        held = await client.access_token(app, corp=child(2))
        assert child(2) == held.corp_id
    assert [] == load.refusals
    assert 0 == code
    assert '"event": "stopped"' in leaving.log.read_text().splitlines()[-1]
    check_took(took, DRAIN_SECONDS + 3)
    figures(calls=load.calls, failed=0, slowest_seconds=load.longest, exit_code=code, seconds_to_exit=took)


async def test_a_second_sigterm_ends_at_once(fleet: Fleet, tmp_path: Path, figures: Figures) -> None:
    config = {**fleet.config, "server": {"drain_seconds": 60}}
    config["store"] = {"url": f"sqlite:///{tmp_path}/broker.db"}
    with BrokerProcess(tmp_path / "broker", config) as broker:
        async with connect(broker.address, app="app-0") as (replica,):
            call = replica.tokens.WatchAccessToken(pb.WatchAccessTokenRequest(target=target(app="app-0")))
            await call.read()
            states = replica.health.Watch(health_pb2.HealthCheckRequest(service=""))
            await states.read()
            broker.send(signal.SIGTERM)
            await states.read()
            broker.send(signal.SIGTERM)
            code, took = await ended(broker)
            states.cancel()
            call.cancel()
    assert 128 + signal.SIGTERM == code
    check_took(took, 2)
    figures(exit_code=code, seconds=took)


@pytest.mark.parametrize(
    ("arguments", "ready"),
    [
        (["dev", "--grpc-port", "0", "--http-port", "0", "--wecom-port", "0"], "Ctrl-C ends both."),
        (["simulate", "--port", "0"], "simulated WeCom: http://"),
    ],
    ids=["dev", "simulate"],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
async def test_a_command_ends_cleanly(arguments: list[str], ready: str, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "broker",
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
    )
    assert process.stdout
    seen = ""
    async with asyncio.timeout(PATIENCE):
        while ready not in seen:
            line = await process.stdout.readline()
            assert line, seen
            seen += line.decode()
        process.send_signal(number)
        seen += (await process.stdout.read()).decode()
        code = await process.wait()
    assert 0 == code
    assert "Traceback" not in seen
    assert "Error" not in seen
