"""A broker in its own process, as an operator starts it."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from tests.kit.processes.environment import environment
from tests.kit.processes.forked import SUPPORTED, ForkedProcess, template
from tests.kit.processes.ports import free_port
from tests.kit.processes.redis_server import die_with_parent
from tests.kit.time_bounds import TooSlow

STARTED_WITHIN_SECONDS = 150.0
PATIENT_WORKERS = Path(__file__).with_name("patient")
PATIENT_BROKER = Path(__file__).with_name("patient_broker.py")
LEAKY_BROKER = Path(__file__).with_name("leaky_broker.py")
TRAVELLING_BROKER = Path(__file__).with_name("travelling_broker.py")


class BrokerProcess:
    """`wecom-broker serve` with the test's configuration. A context manager.

    With `ahead`, its clock is ahead by the seconds that this file holds. With `leak` its tokens leak
    there (`leaky_broker`). `variables` are in its environment. With `files` it may open no more than so many.
    `within` is a command that starts the broker's: see `mounts`. It may be `forked` where nothing is asked
    of the process itself: its command line, its first steps, its memory.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        *,
        log_level: str = "debug",
        patient: bool = False,
        ahead: Path | None = None,
        leak: str = "",
        variables: Mapping[str, str] | None = None,
        files: int = 0,
        within: Sequence[str] = (),
        forked: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.grpc_port = free_port()
        self.http_port = free_port()
        self.address = f"127.0.0.1:{self.grpc_port}"
        self.log = folder / "broker.log"
        self.config_file = folder / "broker.toml"
        self._log_level = log_level
        self.configure(config)
        self._script = PATIENT_BROKER if patient else None
        self._arguments = ["serve", "--config", str(self.config_file)]
        if ahead:
            self._script = TRAVELLING_BROKER
            self._arguments.insert(0, str(ahead))
        if leak:
            self._script = LEAKY_BROKER
            self._arguments.insert(0, leak)
        self._variables = variables or {}
        self._patience = {"PYTHONPATH": str(PATIENT_WORKERS)} if patient else {}
        self._files = files
        self._within = within
        self._forked = forked and SUPPORTED
        self.process: subprocess.Popen[bytes] | ForkedProcess | None = None

    def text_of(self, config: Mapping[str, Any]) -> str:
        """Return the configuration file, with this broker's own listeners and log."""
        server = {"grpc": [self.address], "http": f"127.0.0.1:{self.http_port}", "drain_seconds": 1}
        log = {"level": self._log_level, "format": "json", **config.get("log", {})}
        return to_toml({**config, "server": {**server, **config.get("server", {})}, "log": log})

    def configure(self, config: Mapping[str, Any]) -> None:
        """Write the configuration file in one step, as a careful operator does."""
        self.write(self.text_of(config))

    def write(self, text: str) -> None:
        """Have this text be the configuration file, in one step."""
        unfinished = self.config_file.with_name("unfinished.toml")
        unfinished.write_text(text)
        unfinished.rename(self.config_file)

    def start(self) -> None:
        """Start it, and return when it is ready."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start it, and return at once."""
        # What workers count is in files: a disk that is busy would hold them up.
        variables = {
            **environment(),
            "TMPDIR": str(self.config_file.parent),
            **self._patience,
            **self._variables,
        }
        if self._forked:
            self.process = template().fork(self._arguments, self.log, variables, self._script)
            return
        program = ["-P", str(self._script)] if self._script else ["-m", "broker"]
        command = [*self._within, sys.executable, *program, *self._arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=variables, preexec_fn=self._prepare
            )

    def _prepare(self) -> None:
        """Run in the child, before the program."""
        die_with_parent()
        if self._files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._files, self._files))

    def await_ready(self) -> None:
        """Return when it is ready."""
        assert self.process
        deadline = time.monotonic() + STARTED_WITHIN_SECONDS
        while not self._is_ready():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                failure = AssertionError if ended else TooSlow
                raise failure(f"the broker does not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def metrics(self) -> str:
        """Return the text of `/metrics`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """Kill it, as a crash would."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self, within: float = 15.0) -> int:
        """Ask it to end, and return its exit code."""
        assert self.process
        self.process.terminate()
        return self.process.wait(within)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process and self.process.poll() is None:
            # A killed supervisor cannot end its workers.
            workers = self.children()
            self.send(signal.SIGCONT)
            self.kill()
            for worker in workers:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)

    def children(self) -> list[int]:
        """Return its child processes: the workers, if there are several (Linux)."""
        assert self.process
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def local_ports(self) -> set[int]:
        """Return its ends of its connections."""
        assert self.process
        return {found.laddr.port for found in psutil.Process(self.process.pid).net_connections("tcp")}

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/readyz", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def to_toml(table: Mapping[str, Any]) -> str:
    """Return a configuration as TOML; JSON's strings, numbers and lists are valid TOML."""
    lines = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            lines += [f"[{name}]", *(f"{key} = {_value(item)}" for key, item in value.items())]
        else:
            for entry in value:
                lines += [f"[[{name}]]", *(f"{key} = {_value(item)}" for key, item in entry.items())]
    return "\n".join(lines) + "\n"


def _value(item: object) -> str:
    if isinstance(item, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in item.items()) + " }"
    if isinstance(item, list):
        return "[" + ", ".join(_value(inner) for inner in item) + "]"
    return json.dumps(item, ensure_ascii=False)
