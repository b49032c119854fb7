"""Streams that outlive the broker's restarts.

Rule 1: a stream that cannot be opened the first time fails, within a deadline. It is open at its first
    message; one that may have none for hours is open when the broker sends its headers.
Rule 2: a stream that was open once is reopened, with jitter, for as long as the client lives.
Rule 3: a definitive error ends it: the broker refuses this caller for good.
Rule 4: closing the client ends every stream with BrokerClosed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc.aio

from wecom_broker._connection.backoff import Backoff, patience
from wecom_broker._connection.failures import closed, ended, late, translated
from wecom_broker.errors import (
    AccessDenied,
    BrokerClosed,
    InvalidArgument,
    NotFound,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
    from contextlib import AbstractContextManager

    from grpc.aio import UnaryStreamCall, UnaryStreamMultiCallable

Request = TypeVar("Request")
Response = TypeVar("Response")

DEFINITIVE = (NotFound, InvalidArgument, AccessDenied, BrokerClosed)

_log = logging.getLogger("wecom_broker")


class Streams:
    """The open streams of one client."""

    def __init__(self, address: str, timeout: timedelta) -> None:
        """Set how long each stream may take to open, and the address that errors name."""
        self._address = address
        self._timeout = timeout
        self._calls: set[UnaryStreamCall[Any, Any]] = set()
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End every stream; its readers get BrokerClosed."""
        self._closed.set()
        for call in self._calls:
            call.cancel()

    async def follow(
        self,
        method: UnaryStreamMultiCallable[Request, Response],
        request: Request,
        *,
        on_open: Callable[[], None] | None = None,
        before_again: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncGenerator[Response]:
        """Yield the messages of a stream, across interruptions. Raises BrokerError by rules 1, 3 and 4.

        `on_open` is given for a stream that may be silent, and called each time it opens;
        `before_again` is awaited before it is reopened; an error that it raises may end the stream.
        """
        clock = asyncio.get_running_loop().time
        backoff = Backoff()
        opened = False
        while True:
            try:
                if opened and before_again:
                    await before_again()
                started = clock()
                once = self._once(method, request, wait_for_ready=opened, silent=on_open is not None)
                async with aclosing(once) as messages:
                    async for message in messages:
                        opened = True
                        if message is not None:
                            yield message
                        elif on_open:
                            on_open()
            except DEFINITIVE:
                raise
            except Exception as failure:  # also errors of the bearer token's source
                if not opened:
                    raise
                _log.info("a stream broke and is opened again: %s", failure)
                lived = timedelta(seconds=clock() - started)
                await self._pause(backoff.delay(lived=lived, at_least=patience(failure)))

    async def _once(
        self,
        method: UnaryStreamMultiCallable[Request, Response],
        request: Request,
        *,
        wait_for_ready: bool,
        silent: bool,
    ) -> AsyncGenerator[Response | None]:
        """Yield the messages of one call, which always ends with an error; None once a silent one is open."""
        if self._closed.is_set():
            raise closed()
        with self._translated():
            call = method(request, wait_for_ready=wait_for_ready)
        self._calls.add(call)
        try:
            if silent:
                await self._in_time(self._opened(call))
                yield None
                message = await self._next(call)
            else:
                message = await self._in_time(self._next(call))
            while True:
                yield message
                message = await self._next(call)
        finally:
            self._calls.discard(call)
            call.cancel()

    async def _in_time(self, opening: Coroutine[Any, Any, Response]) -> Response:
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await opening
        except TimeoutError:
            raise late(self._address) from None

    async def _pause(self, delay: timedelta) -> None:
        """Wait for the delay, or until the client is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(delay.total_seconds()):
                await self._closed.wait()

    async def _next(self, call: UnaryStreamCall[Request, Response]) -> Response:
        with self._translated():
            message = await call.read()
        if message is grpc.aio.EOF:
            raise ended(self._address)
        return cast("Response", message)

    async def _opened(self, call: UnaryStreamCall[Any, Any]) -> None:
        with self._translated():
            await call.wait_for_connection()  # gRPC's name for the arrival of the headers

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self._address, self._closed.is_set)
