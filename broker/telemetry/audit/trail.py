"""The audit trail of a running broker: a queue, and a thread that empties it.

Promise 1. Nobody who writes a record waits: not for a disk, a pipe or a terminal.
Promise 2. A sink that takes nothing now is tried again; what comes meanwhile waits, as far as there is room.
Promise 3. What is lost is counted, and told.
Promise 4. What was written before `close` is in the sink after it, unless that takes longer than it may.
"""

import errno
import queue
import threading
from contextlib import suppress

from broker.domain.audit import AuditRecord
from broker.domain.ports.audit import AuditObserver
from broker.telemetry.audit.sinks import AuditSink

ROOM = 10_000
"""How many records wait at most."""
AGAIN_SECONDS = 1.0
"""The pause before a sink is tried again."""
CLOSED_WITHIN_SECONDS = 2.0


class QueuedTrail:
    """The `AuditTrail` in front of a sink."""

    def __init__(
        self,
        sink: AuditSink,
        observer: AuditObserver,
        *,
        room: int = ROOM,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._sink = sink
        self._observer = observer
        self._again_seconds = again_seconds
        self._waiting: queue.Queue[AuditRecord | None] = queue.Queue(room)
        self._is_closing = threading.Event()
        self._must_reopen = threading.Event()
        # A daemon: a write that never returns, on a dead network disk for example, must not keep the process.
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        """Open the sink, and begin to write. Raises `OSError`."""
        try:
            self._sink.open()
        except OSError as error:
            # A FIFO whose reader has not come yet.
            if error.errno != errno.ENXIO:
                raise
            self._observer.audit_unwritable("nobody reads it")
        self._thread.start()

    def write(self, record: AuditRecord) -> None:
        """See `AuditTrail.write`."""
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self._observer.audit_lost(1)

    def reopen(self) -> None:
        """Open the sink anew before the next record."""
        self._must_reopen.set()

    def close(self, within_seconds: float = CLOSED_WITHIN_SECONDS) -> None:
        """Write what waits, and end. Whatever cannot be written in time is lost."""
        self._is_closing.set()
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(within_seconds)
        if lost := self._left_over():
            self._observer.audit_lost(lost)

    def _run(self) -> None:
        try:
            while record := self._next():
                if not self._is_put_at_last(record):
                    self._observer.audit_lost(1)
                    return
        finally:
            self._sink.close()

    def _next(self) -> AuditRecord | None:
        if not self._is_closing.is_set():
            return self._waiting.get()
        with suppress(queue.Empty):
            return self._waiting.get_nowait()
        return None

    def _is_put_at_last(self, record: AuditRecord) -> bool:
        """Try again and again; return False if it is not put and the broker stops."""
        while not self._is_put(record):
            if self._is_closing.wait(self._again_seconds):
                return self._is_put(record)
        return True

    def _is_put(self, record: AuditRecord) -> bool:
        try:
            if self._must_reopen.is_set():
                self._must_reopen.clear()
                self._sink.close()
            self._sink.open()
            self._sink.put(record)
        except OSError as error:
            self._observer.audit_unwritable(error.strerror or type(error).__name__)
            return False
        self._observer.audit_written(1)
        return True

    def _left_over(self) -> int:
        """Take out what is left, and count it: of a thread that hangs, the record in its hand too."""
        lost = int(self._thread.is_alive())
        with suppress(queue.Empty):
            while True:
                lost += self._waiting.get_nowait() is not None
        return lost
