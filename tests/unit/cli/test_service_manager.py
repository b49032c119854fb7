"""What a service manager is told, on a socket as systemd makes one."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.cli.serving.service_manager import ServiceManager
from broker.domain.replica.health import ReloadOutcome

NOW_NS = 5_000_000_999


@pytest.fixture(params=["file", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return an address as NOTIFY_SOCKET has it."""
    return str(tmp_path / "notify") if request.param == "file" else f"@{tmp_path.name}-{id(tmp_path)}"


@pytest.fixture
def systemd(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0", 1))
        listening.settimeout(5)
        yield listening


@pytest.fixture
def manager(systemd: socket.socket, address: str) -> Iterator[ServiceManager]:
    made = ServiceManager.of({"NOTIFY_SOCKET": address})
    assert made._socket
    with made._socket:
        yield ServiceManager(made._socket, lambda: NOW_NS)


def heard(systemd: socket.socket) -> list[str]:
    return systemd.recv(4096).decode().split("\n")


def nothing_more(systemd: socket.socket) -> bool:
    systemd.setblocking(False)
    try:
        systemd.recv(4096)
    except BlockingIOError:
        return True
    return False


def test_ready_and_stopping_are_told(systemd: socket.socket, manager: ServiceManager) -> None:
    manager.ready()
    manager.stopping()

    assert ["READY=1", "STATUS=serving"] == heard(systemd)
    assert ["STOPPING=1", "STATUS=draining"] == heard(systemd)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (ReloadOutcome.APPLIED, "serving"),
        (ReloadOutcome.REFUSED, "serving; the changed configuration was refused, see the log"),
    ],
)
def test_a_reload_has_a_moment_and_an_end(
    systemd: socket.socket, manager: ServiceManager, outcome: ReloadOutcome, status: str
) -> None:
    with manager.reloading() as note:
        begun = heard(systemd)
        note(outcome)

    assert ["RELOADING=1", "MONOTONIC_USEC=5000000"] == begun[:2]
    assert ["READY=1", f"STATUS={status}"] == heard(systemd)


def test_of_two_reloads_at_once_the_last_one_ends_it(systemd: socket.socket, manager: ServiceManager) -> None:
    with manager.reloading():
        with manager.reloading():
            assert ["RELOADING=1"] * 2 == [heard(systemd)[0] for _ in range(2)]
        with manager.reloading():
            assert "RELOADING=1" == heard(systemd)[0], "the first end was not told: one went on"

    assert "READY=1" == heard(systemd)[0]
    assert nothing_more(systemd)


def test_a_reload_that_is_broken_off_ends_too(systemd: socket.socket, manager: ServiceManager) -> None:
    with pytest.raises(KeyboardInterrupt), manager.reloading():
        raise KeyboardInterrupt

    assert ["RELOADING=1", "READY=1"] == [heard(systemd)[0] for _ in range(2)]


def test_children_do_not_inherit_the_address(systemd: socket.socket, address: str) -> None:
    environment = {"NOTIFY_SOCKET": address, "HOME": "/"}
    told = ServiceManager.of(environment)._socket

    assert told
    told.close()
    assert {"HOME": "/"} == environment


@pytest.mark.parametrize("given", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_socket_nobody_is_told(given: dict[str, str]) -> None:
    with capture_logs() as lines:
        manager = ServiceManager.of(given)
        manager.ready()
        with manager.reloading():
            pass
        manager.stopping()

    assert [] == lines


def test_a_manager_that_is_gone_is_logged_and_stops_nothing(tmp_path: Path) -> None:
    with capture_logs() as lines:
        ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()

    assert ["the service manager cannot be told"] == [line["event"] for line in lines]


def test_a_manager_that_leaves_is_logged_and_stops_nothing(
    systemd: socket.socket, manager: ServiceManager
) -> None:
    systemd.close()
    with capture_logs() as lines:
        manager.ready()

    assert ["the service manager cannot be told"] == [line["event"] for line in lines]
