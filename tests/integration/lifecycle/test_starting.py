"""What keeps a broker from starting is told by the key to look at, with an exit code and no stack trace."""

import base64
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.environment import environment
from tests.kit.processes.fleet import PATIENCE, configuration
from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import RedisServer

NOWHERE = "http://127.0.0.1:9"
OTHER_KEY = base64.b64encode(b"another key of exactly 32 bytes!").decode()

pytestmark = pytest.mark.slow


def started(broker: BrokerProcess) -> tuple[int, str]:
    """Start it, and return the exit code and all that it said."""
    broker.launch()
    assert broker.process
    code = broker.process.wait(PATIENCE)
    said = broker.log.read_text()
    assert "Traceback" not in said
    return code, said


def embedded(folder: Path, **tables: Any) -> BrokerProcess:
    return BrokerProcess(folder, configuration(NOWHERE, f"sqlite:///{folder}/broker.db", **tables))


def test_a_grpc_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = started(embedded(tmp_path / "b", server={"grpc": [address]}))
    assert 0 != code
    assert "server.grpc[0]" in said
    assert address in said


def test_a_grpc_port_of_another_broker_is_named(tmp_path: Path) -> None:
    with embedded(tmp_path / "first") as first:
        code, said = started(embedded(tmp_path / "b", server={"grpc": ["127.0.0.1:0", first.address]}))
    assert 0 != code
    assert "server.grpc[1]" in said


def test_an_http_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = started(embedded(tmp_path / "b", server={"http": address}))
    assert 0 != code
    assert "server.http" in said
    assert address in said


def test_a_socket_file_in_use_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broker.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        code, said = started(embedded(tmp_path / "b", server={"grpc": [f"unix://{path}"]}))
    assert 0 != code
    assert "server.grpc[0]" in said


def test_an_unreachable_redis_is_named(tmp_path: Path) -> None:
    url = f"redis://:a-password-of-redis@127.0.0.1:{free_port()}/0"
    code, said = started(BrokerProcess(tmp_path / "b", configuration(NOWHERE, url)))
    assert 0 != code
    assert "store.url" in said
    assert "a-password-of-redis" not in said


def test_a_wrong_seal_key_is_named(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as redis:
        with BrokerProcess(tmp_path / "first", configuration(NOWHERE, redis.url)):
            pass
        config = configuration(NOWHERE, redis.url, store={"seal_keys": [{"id": "k1", "key": OTHER_KEY}]})
        code, said = started(BrokerProcess(tmp_path / "b", config))
    assert 0 != code
    assert "store.seal_keys" in said
    assert OTHER_KEY not in said


def test_a_store_file_of_a_running_broker_is_named(tmp_path: Path) -> None:
    with embedded(tmp_path / "first"):
        config = configuration(NOWHERE, f"sqlite:///{tmp_path}/first/broker.db")
        code, said = started(BrokerProcess(tmp_path / "b", config))
    assert 0 != code
    assert "store.url" in said


def test_several_workers_on_the_embedded_store_are_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    code, said = started(embedded(tmp_path / "b", server={"workers": 2}))
    assert 2 == code
    assert "server.workers" in said


def test_all_mistakes_of_a_file_are_told_at_once_by_key(tmp_path: Path) -> None:
    file = tmp_path / "broker.toml"
    file.write_text(
        '[server]\nworker = 2\ngrpc = ["nonsense"]\n[[apps]]\nname = "crm"\ncorp_id = "no spaces"\n'
        "agent_id = 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "broker", "serve", "--config", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert 2 == done.returncode
    for key in (
        "server.worker:",
        "server.grpc[0]:",
        "apps[0].corp_id:",
        "apps[0].agent_id:",
        "apps[0].secret:",
    ):
        assert key in done.stderr
    assert "Traceback" not in done.stderr
