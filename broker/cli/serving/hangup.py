"""SIGHUP: read the configuration anew. From the first moment on it ends no process."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

HANGUP = getattr(signal, "SIGHUP", None)
"""None on Windows, which has no such signal."""


class Hangups:
    """Catch SIGHUP; one that comes before anybody listens is kept."""

    def __init__(self) -> None:
        self._came = False
        self._tell: Callable[[], object] | None = None
        if HANGUP is not None:
            signal.signal(HANGUP, self._note)
            # The supervisor starts workers with it blocked, so that none is lost, and none ends them.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {HANGUP})

    def listen(self, on_hangup: Callable[[], None]) -> None:
        """Call it in the running loop for each, and at once if one came before."""
        loop = asyncio.get_running_loop()
        self._tell = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(on_hangup)
        if self._came:
            self._came = False
            on_hangup()

    def take(self) -> bool:
        """Return whether one came since the last call, while nobody listens."""
        came, self._came = self._came, False
        return came

    @contextmanager
    def blocked(self) -> Iterator[None]:
        """Hold it back inside the block; a process started there does so until it catches it."""
        if HANGUP is not None:
            signal.pthread_sigmask(signal.SIG_BLOCK, {HANGUP})
        try:
            yield
        finally:
            if HANGUP is not None:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {HANGUP})

    def ignore(self) -> None:
        """Call nobody any more: the broker stops, and its last moments are not cut short either."""
        if HANGUP is not None:
            signal.signal(HANGUP, signal.SIG_IGN)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self._tell is None:
            self._came = True
        else:
            self._tell()
