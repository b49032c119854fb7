"""The event loop and the process that a client belongs to.

A channel of grpc.aio works in one event loop, and no channel survives a fork: without these checks a client
used elsewhere would wait forever, or serve tokens that are no longer updated.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop
from threading import get_ident
from typing import TYPE_CHECKING

from wecom_broker._connection.process import Process, made_before_fork
from wecom_broker.errors import WrongEventLoop

if TYPE_CHECKING:
    from collections.abc import Callable

_REMEDY = "make a client in each event loop, or one wecom_broker.sync.Broker for all of them"


class Owner:
    """The loop and process of a client's first use. It may not be used in any other.

    Where `thread` and `process` are the current ones and the loop `is_running`, no other loop can run: the
    warm read compares them by itself. Asking asyncio for the running loop would cost a system call.
    """

    __slots__ = ("_loop", "is_running", "process", "thread")

    def __init__(self) -> None:
        """Belong to no loop until the first use."""
        self._loop: AbstractEventLoop | None = None
        self.is_running: Callable[[], bool] = bool
        self.process: object | None = None
        self.thread = 0

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
        self._loop = get_running_loop()
        self.is_running, self.process, self.thread = self._loop.is_running, Process.current, get_ident()

    def require_process(self) -> None:
        """Raise MadeBeforeFork in a child process. Any thread may call it."""
        if self.process is not Process.current and self.process is not None:
            raise made_before_fork()

    @property
    def is_parent(self) -> bool:
        """Whether the client belongs to the process that this one was forked from."""
        return self.process is not Process.current and self.process is not None

    @property
    def is_gone(self) -> bool:
        """Whether no work of the client can be running here."""
        return self.is_parent or (self._loop is not None and self._loop.is_closed())


def _wrong_loop(cause: str) -> WrongEventLoop:
    return WrongEventLoop("WRONG_EVENT_LOOP", f"{cause}; {_REMEDY}")
