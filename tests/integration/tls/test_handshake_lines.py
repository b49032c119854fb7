"""TLS handshakes that fail leave no lines of gRPC's C code beside the JSON log."""

import asyncio
import json
from pathlib import Path

import pytest

from broker.simulator import running_simulator
from broker.simulator.demo import demo_world
from tests.integration.access.doors import BY_SPIFFE, ORDERS, Door
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.certificates import Authority
from tests.kit.processes.fleet import configuration, refused

pytestmark = pytest.mark.slow


async def lines_after_bad_handshakes(folder: Path) -> list[str]:
    authority = Authority()
    tls = authority.sign(dns="localhost", address="127.0.0.1").write(folder, "server")
    tls["client_ca"] = authority.write(folder)
    async with running_simulator(demo_world()) as url:
        tables = configuration(url, f"sqlite:///{folder}/broker.db", callers=[BY_SPIFFE], server={"tls": tls})
        process = BrokerProcess(folder / "broker", tables)
        process.launch()
        await asyncio.to_thread(process.await_ready)
        try:
            for pair in (None, Authority("a stranger").sign(uri=ORDERS)):
                async with Door(process.address, authority).enter(pair) as replica:
                    await refused(replica.token(timeout=5))
        finally:
            await asyncio.to_thread(process.stop)
    return process.log.read_text().splitlines()


async def test_every_line_is_json(tmp_path: Path) -> None:
    for line in await lines_after_bad_handshakes(tmp_path):
        assert isinstance(json.loads(line), dict)


async def test_the_environment_can_show_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_VERBOSITY", "INFO")

    assert any("Handshake failed" in line for line in await lines_after_bad_handshakes(tmp_path))
