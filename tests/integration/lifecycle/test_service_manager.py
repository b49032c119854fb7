"""A broker tells its service manager when it serves, reloads and stops; several workers do so as one."""

import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import PATIENCE, configuration
from tests.kit.processes.redis_server import RedisServer

NOWHERE = "http://127.0.0.1:9"

pytestmark = pytest.mark.slow


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket as systemd makes one, at an abstract address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0wecom-broker-{tmp_path.name}-{time.monotonic_ns()}")
        listening.settimeout(PATIENCE)
        yield listening


def heard(systemd: socket.socket) -> dict[str, str]:
    """Return the next message."""
    return dict(line.split("=", 1) for line in systemd.recv(4096).decode().split("\n"))


def broker(folder: Path, systemd: socket.socket, store: str, **server: int) -> BrokerProcess:
    variables = {"NOTIFY_SOCKET": "@" + systemd.getsockname()[1:].decode()}
    return BrokerProcess(folder, configuration(NOWHERE, store, server=server), variables=variables)


def reloads(process: BrokerProcess, systemd: socket.socket) -> str:
    """Send SIGHUP, and return the status after it."""
    asked = time.monotonic_ns() // 1000
    process.send(signal.SIGHUP)
    begun = heard(systemd)
    assert "1" == begun["RELOADING"]
    assert asked <= int(begun["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    ended = heard(systemd)
    assert "1" == ended["READY"]
    return ended["STATUS"]


def test_one_process_tells_ready_reloading_and_stopping(tmp_path: Path, systemd: socket.socket) -> None:
    with broker(tmp_path, systemd, f"sqlite:///{tmp_path}/broker.db") as process:
        assert {"READY": "1", "STATUS": "serving"} == heard(systemd)
        assert "serving" == reloads(process, systemd)

        process.write("[server")
        assert "1" == heard(systemd)["RELOADING"], "a changed file is told as well"
        assert "refused" in heard(systemd)["STATUS"]
        assert "refused" in reloads(process, systemd)

        assert 0 == process.stop()
        assert "1" == heard(systemd)["STOPPING"]


def test_several_workers_are_ready_once_all_are(tmp_path: Path, systemd: socket.socket) -> None:
    with (
        RedisServer(tmp_path / "redis") as redis,
        broker(tmp_path, systemd, redis.url, workers=2) as process,
    ):
        assert {"READY": "1", "STATUS": "serving"} == heard(systemd)
        assert 2 == process.log.read_text().count('"event": "serving"'), "when it was told, both served"

        assert "serving" == reloads(process, systemd)
        workers = process.children()
        assert 0 == process.stop()
        assert "1" == heard(systemd)["STOPPING"]
        assert not any(psutil.pid_exists(worker) for worker in workers)
