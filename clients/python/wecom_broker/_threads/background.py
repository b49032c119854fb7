"""The thread that drives the client for threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent import futures
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from wecom_broker._connection.failures import closed
from wecom_broker._connection.process import Process, made_before_fork
from wecom_broker.errors import BrokerClosed, BrokerError, MadeBeforeFork

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Iterator

    from wecom_broker._broker import Broker

Result = TypeVar("Result")

_LAST_CALLS_SECONDS = 1
"""How long the end of the loop waits for calls of gRPC, at most."""


class Background:
    """The event loop of the background thread.

    Work is submitted under a lock that `stop` takes too, so that none is submitted to a loop that has ended.
    An abandoned iterator ends in the garbage collector, which may run in any thread at any time, also in the
    loop's own. So the lock is reentrant, `iterate` does not wait at its end, and `end` does not wait in the
    loop's thread.
    """

    def __init__(self, broker: Broker) -> None:
        """Keep the client, which only this thread drives."""
        self._started = threading.Event()
        self._failure: Exception | None = None
        self._process = Process.current
        self._closing = False
        self._broker = broker
        self._submitting = threading.RLock()
        self._thread: int
        self._loop: asyncio.AbstractEventLoop
        self._stopped: asyncio.Event

    @property
    def needs_closing(self) -> bool:
        """Whether the loop is still to be ended; a child process has no loop."""
        return not self._closing and self._process is Process.current

    def require_process(self) -> None:
        """Raise MadeBeforeFork in a child process, where the thread does not exist."""
        if self._process is not Process.current:
            raise made_before_fork()

    def run(self) -> None:
        """Run until `stop`; this is the thread's main function."""
        self._thread = threading.get_ident()
        try:
            asyncio.run(self._serve())
        except Exception as failure:
            if self._started.is_set():
                raise
            self._failure, self._closing = failure, True
            self._started.set()

    def await_start(self) -> None:
        """Wait until the loop takes work. Raises what kept it from starting, such as too few open files."""
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Refuse new work, and close the client. May be repeated."""
        if not self.needs_closing:
            return
        with self._submitting:
            if not self._closing:
                self._closing = True
                self._loop.call_soon_threadsafe(self._stopped.set)

    def result(self, work: Coroutine[object, object, Result]) -> Result:
        """Wait for the work and return its result; cancel it if the wait is interrupted, as by Ctrl-C."""
        future = self._submit(work)
        try:
            return future.result()
        except futures.CancelledError:
            raise closed() from None
        finally:
            future.cancel()

    def end(self, work: Coroutine[object, object, object]) -> None:
        """Do the work that ends something, and wait for it, except in the thread that has to do it."""
        with suppress(BrokerClosed):
            if threading.get_ident() == self._thread:
                self._submit(work)
            else:
                self.result(work)

    def iterate(self, items: AsyncGenerator[Result]) -> Iterator[Result]:
        """Yield the items, and close the generator at the end."""
        try:
            while True:
                try:
                    yield self.result(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            with suppress(BrokerClosed, MadeBeforeFork):
                self._submit(items.aclose())

    def _submit(self, work: Coroutine[object, object, Result]) -> futures.Future[Result]:
        try:
            self.require_process()
            with self._submitting:
                if self._closing:
                    raise closed()
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        except BrokerError:
            work.close()
            raise

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        async with self._broker:
            self._started.set()
            await self._stopped.wait()
        await _await_last_calls()


async def _await_last_calls() -> None:
    """Wait for the tasks of gRPC, whose calls end a moment after they were cancelled.

    What gRPC has for a loop that is closed by then fails in another loop, which logs an error.
    """
    if calls := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(calls, timeout=_LAST_CALLS_SECONDS)


async def _next(items: AsyncGenerator[Result]) -> Result:
    """Call `anext` in the loop's thread, so that the loop knows the generator and closes it at its end."""
    return await anext(items)
