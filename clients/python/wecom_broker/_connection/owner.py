"""The event loop and the process that a client belongs to.

A channel of grpc.aio works in one event loop, and no channel survives a fork: without these checks a client
used elsewhere would wait forever, or serve tokens that are no longer updated.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop
from threading import get_ident

from wecom_broker._connection.process import Process, made_before_fork
from wecom_broker.errors import WrongEventLoop

_REMEDY = "make a client in each event loop, or one wecom_broker.sync.Broker for all of them"


class Owner:
    """The loop and process of a client's first use. It may not be used in any other."""

    __slots__ = ("_loop", "_process", "_thread")

    def __init__(self) -> None:
        """Belong to no loop until the first use."""
        self._loop: AbstractEventLoop | None = None
        self._process: object | None = None
        self._thread = 0

    def is_here(self) -> bool:
        """Return whether the client's loop runs in this thread: no other loop can run there then.

        False where it takes `require` to tell. Asking asyncio for the running loop costs a system call.
        """
        return (
            get_ident() == self._thread
            and self._process is Process.current
            and self._loop is not None
            and self._loop.is_running()
        )

    def require(self) -> None:
        """Bind to the place of the first use. Raises MadeBeforeFork and WrongEventLoop in any other."""
        try:
            if get_running_loop() is self._loop:  # never true in a child: asyncio forgets the loop at a fork
                return
        except RuntimeError:
            self.require_process()
            raise _wrong_loop("the client needs a running event loop: call it in a coroutine") from None
        self.require_process()
        if self._loop is not None:
            state = "is closed" if self._loop.is_closed() else "is another one"
            raise _wrong_loop(f"the client belongs to the event loop of its first use, which {state}")
        self._loop, self._process = get_running_loop(), Process.current
        self._thread = get_ident()

    def require_process(self) -> None:
        """Raise MadeBeforeFork in a child process. Any thread may call it."""
        if self._process is not Process.current and self._process is not None:
            raise made_before_fork()

    @property
    def is_parent(self) -> bool:
        """Whether the client belongs to the process that this one was forked from."""
        return self._process is not Process.current and self._process is not None

    @property
    def is_gone(self) -> bool:
        """Whether no work of the client can be running here."""
        return self.is_parent or (self._loop is not None and self._loop.is_closed())


def _wrong_loop(cause: str) -> WrongEventLoop:
    return WrongEventLoop("WRONG_EVENT_LOOP", f"{cause}; {_REMEDY}")
