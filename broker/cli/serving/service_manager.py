"""What a service manager is told of this process, in the words of sd_notify(3) and `Type=notify-reload`."""

import socket
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Self

import structlog

from broker.domain.replica.health import ReloadOutcome
from broker.telemetry.logging import LOGGER

VARIABLE = "NOTIFY_SOCKET"
PATIENCE_SECONDS = 1.0
"""How long a message waits while the receiver's queue is full."""
SERVING = "serving"
REFUSED = "serving; the changed configuration was refused, see the log"


class ServiceManager:
    """Tell it when this process is ready, reloads or stops; without a socket nobody is told."""

    def __init__(
        self, connected: socket.socket | None, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._socket = connected
        self._monotonic_ns = monotonic_ns
        self._reloads = 0
        if connected:
            connected.settimeout(PATIENCE_SECONDS)

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Self:
        """Return the manager that the environment names, and remove it there: no child speaks for us."""
        address = environment.pop(VARIABLE, "")
        if not address.startswith(("/", "@")):
            return cls(None)
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            # "@" stands for the zero byte of an abstract address.
            connected.connect("\0" + address[1:] if address.startswith("@") else address)
        except OSError as problem:
            connected.close()
            _log(problem)
            return cls(None)
        return cls(connected)

    def ready(self, status: str = SERVING) -> None:
        """Tell it that this process serves, with the configuration as it is now."""
        self._tell("READY=1", f"STATUS={status}")

    def reload_begins(self) -> int:
        """Tell it that the configuration is read anew, and return the moment, in microseconds."""
        moment = self._monotonic_ns() // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={moment}", "STATUS=reading the configuration anew")
        return moment

    @contextmanager
    def reloading(self) -> Iterator[Callable[[ReloadOutcome], None]]:
        """Tell it of a reload inside the block, and of the outcome once the last of several at once ends."""
        status = SERVING

        def note(outcome: ReloadOutcome) -> None:
            nonlocal status
            status = REFUSED if outcome is ReloadOutcome.REFUSED else SERVING

        self._reloads += 1
        self.reload_begins()
        try:
            yield note
        finally:
            self._reloads -= 1
            if not self._reloads:
                self.ready(status)

    def stopping(self) -> None:
        """Tell it that this process drains and ends."""
        self._tell("STOPPING=1", "STATUS=draining")

    def _tell(self, *lines: str) -> None:
        if not self._socket:
            return
        try:
            self._socket.send("\n".join(lines).encode())
        except OSError as problem:
            _log(problem)


def _log(problem: OSError) -> None:
    structlog.get_logger(LOGGER).warning("the service manager cannot be told", problem=str(problem))
