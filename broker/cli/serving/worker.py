"""One worker of several: its process, and what it says of itself as a service manager is told it."""

import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

from broker.cli.serving.hangup import Hangups

MOST_BYTES = 4096


class Worker:
    """A process that serves, and tells by a socket when it does, and since when it has its configuration."""

    def __init__(self, process: subprocess.Popen[bytes], told: socket.socket, started_at: int) -> None:
        self._process = process
        self._told = told
        self._told.setblocking(False)
        self._serves = False
        self._read_at = started_at
        self.has_served = False

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str], hangups: Hangups) -> Self:
        """Start the command; it gets the descriptor of its end of the socket as a last argument."""
        told, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        started_at = time.monotonic_ns() // 1000
        # A separate session: a Ctrl-C at the terminal reaches the workers only once, through us.
        # SIGHUP is blocked until it catches it: it would end a worker that is starting.
        with telling, hangups.blocked():
            process = subprocess.Popen(  # noqa: S603 - ourselves
                [*command, str(telling.fileno())],
                env=environment,
                start_new_session=True,
                pass_fds=[telling.fileno()],
            )
        return cls(process, told, started_at)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return how it ended; None while it runs."""
        if self._process.returncode is None and self._process.poll() is not None:
            self.listen()
            self._told.close()
        return self._process.returncode

    def send(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.exit_code is None:
            self._process.send_signal(number)

    def has_read_since(self, moment: int) -> bool:
        """Return whether it serves with a configuration that it began to read then or later.

        The moment is the monotonic clock's, in microseconds.
        """
        return self.exit_code is None and self._serves and self._read_at >= moment

    def listen(self) -> None:
        """Hear what it has told. With some hundred reloads unheard, it would wait at each message."""
        with suppress(BlockingIOError):
            while message := self._told.recv(MOST_BYTES):
                self._hear(dict(line.partition("=")[::2] for line in message.decode().splitlines()))

    def _hear(self, message: Mapping[str, str]) -> None:
        if "RELOADING" in message:
            self._serves, self._read_at = False, int(message["MONOTONIC_USEC"])
        elif "READY" in message:
            self._serves = self.has_served = True
