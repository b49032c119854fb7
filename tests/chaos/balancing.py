"""A load balancer of `deploy/` in front of all brokers, which may be killed and started again."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.balancers import BALANCERS, await_listening, moved
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.redis_server import die_with_parent

HAPROXY = BALANCERS["haproxy"]
SHOWN = "server broker-2 "
"""The last of the brokers that the file shows."""


class BalancerProcess:
    """haproxy, as deployed."""

    def __init__(self, brokers: Sequence[BrokerProcess], folder: Path) -> None:
        self._folder = folder
        self._config, self.ports = moved(HAPROXY, brokers, folder)
        self._config.write_text(_with_all(self._config.read_text(), brokers))
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_here() -> bool:
        """Return whether this machine has the program."""
        try:
            return bool(HAPROXY.program())
        except pytest.skip.Exception:
            return False

    def start(self) -> None:
        """Start it, and return when it listens."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                HAPROXY.command(HAPROXY.run, self._config), stdout=log, stderr=log, preexec_fn=die_with_parent
            )
        await_listening(self.ports, self._process, self._folder)

    def kill(self) -> None:
        """Kill it, as a crash would."""
        assert self._process
        self._process.kill()
        self._process.wait()


@contextmanager
def running_balancer(brokers: Sequence[BrokerProcess], folder: Path) -> Iterator[BalancerProcess]:
    """Run it inside the block."""
    balancer = BalancerProcess(brokers, folder)
    balancer.start()
    try:
        yield balancer
    finally:
        balancer.kill()


def _with_all(text: str, brokers: Sequence[BrokerProcess]) -> str:
    """Add the brokers that the file does not show, each as it shows its last one."""
    lines = []
    last = brokers[1]
    for line in text.splitlines():
        lines.append(line)
        if SHOWN in line:
            lines += [
                line.replace("broker-2", f"broker-{number}")
                .replace(str(last.grpc_port), str(broker.grpc_port))
                .replace(str(last.http_port), str(broker.http_port))
                for number, broker in enumerate(brokers[2:], start=3)
            ]
    return "\n".join(lines) + "\n"
