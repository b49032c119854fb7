"""Where records go. A sink that cannot take a record at once raises `OSError`: it never waits."""

import errno
import logging
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from broker.domain.audit import AuditRecord
from broker.telemetry.audit.line import fields_of, write_line
from broker.telemetry.logging import AUDIT_LOGGER

OPENED = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
MODE = 0o600


class AuditSink(Protocol):
    """Take records."""

    def open(self) -> None:
        """Open it, unless it is open. Raises `OSError`."""

    def put(self, record: AuditRecord) -> None:
        """Write one record, where it is open. Raises `OSError`."""

    def close(self) -> None:
        """Close it, unless it is closed."""


class AuditLog:
    """The log, whatever its level."""

    def __init__(self) -> None:
        self._log = structlog.wrap_logger(
            logging.getLogger(AUDIT_LOGGER), wrapper_class=structlog.make_filtering_bound_logger(logging.INFO)
        )

    def open(self) -> None:
        """See `AuditSink.open`."""

    def put(self, record: AuditRecord) -> None:
        """See `AuditSink.put`."""
        self._log.info("audit", **fields_of(record))

    def close(self) -> None:
        """See `AuditSink.close`."""


class AuditLines:
    """A file or a pipe that gets a line for each record, and may have other writers."""

    def __init__(self, opened: Callable[[], int], *, is_current: Callable[[int], bool]) -> None:
        self._opened = opened
        self._is_current = is_current
        self._number: int | None = None
        self._is_torn = False

    def open(self) -> None:
        """See `AuditSink.open`; a file that was moved away is left."""
        if self._number is not None and not self._is_current(self._number):
            self.close()
        if self._number is None:
            self._number = self._opened()

    def put(self, record: AuditRecord) -> None:
        """See `AuditSink.put`. What is ready takes a whole line: a line is no longer than PIPE_BUF."""
        if self._number is None:
            raise OSError(errno.EBADF, "is not open")
        poll = select.poll()
        poll.register(self._number, select.POLLOUT)
        if not poll.poll(0):
            raise BlockingIOError(errno.EAGAIN, "nobody reads it")
        # A disk that became full may have taken half a line: the next one begins on a line of its own.
        line = b"\n" * self._is_torn + write_line(record)
        written = os.write(self._number, line)
        self._is_torn = written < len(line)
        if self._is_torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """See `AuditSink.close`."""
        if self._number is not None:
            os.close(self._number)
            self._number = None


def audit_file(path: Path) -> AuditLines:
    """Return the sink that appends to the file: made with mode 0600, and anew once it was moved away."""

    def is_current(number: int) -> bool:
        try:
            return os.path.samestat(path.stat(), os.fstat(number))
        except OSError:
            return False

    # Without waiting: a FIFO that nobody reads cannot be opened, and says so.
    return AuditLines(lambda: os.open(path, OPENED, MODE), is_current=is_current)


def audit_stdout() -> AuditLines:
    """Return the sink that is this process's stdout."""

    def opened() -> int:
        # If it was closed at the start, its number may be a connection's by now.
        if sys.stdout is None:
            raise OSError(errno.EBADF, "stdout is closed")
        return os.dup(1)

    return AuditLines(opened, is_current=lambda _number: True)
