"""Streams that outlive the broker's restarts.

Rule 1: a stream that cannot be opened the first time fails, with a deadline.
Rule 2: a stream that was open once is opened again, with jitter, for as long as the client lives.
Rule 3: a definitive error ends it: the broker said that this caller gets nothing here.
Rule 4: closing the client ends every stream with BrokerClosed.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc.aio

from wecom_broker._backoff import Backoff
from wecom_broker._failures import closed, ended, late, translated
from wecom_broker.errors import (
    AccessDenied,
    BrokerClosed,
    BrokerError,
    InvalidArgument,
    NotFound,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from grpc.aio import UnaryStreamCall, UnaryStreamMultiCallable

Request = TypeVar("Request")
Response = TypeVar("Response")

DEFINITIVE = (NotFound, InvalidArgument, AccessDenied, BrokerClosed)

# A broker that asks for an hour's patience may be restarted, and mended, long before.
_LONGEST_PATIENCE = timedelta(minutes=1)

_log = logging.getLogger("wecom_broker")


class Streams:
    """The open streams of one client."""

    def __init__(self, timeout: timedelta) -> None:
        """Give each stream this long for its first message."""
        self._timeout = timeout
        self._calls: set[UnaryStreamCall[Any, Any]] = set()
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End every stream; whoever reads one gets BrokerClosed."""
        self._closed.set()
        for call in self._calls:
            call.cancel()

    async def follow(
        self,
        method: UnaryStreamMultiCallable[Request, Response],
        request: Request,
    ) -> AsyncGenerator[Response]:
        """Yield the messages of a stream, over all its breaks. Raises BrokerError by rules 1, 3 and 4."""
        clock = asyncio.get_running_loop().time
        backoff = Backoff()
        opened = False
        while True:
            started = clock()
            try:
                async with aclosing(self._once(method, request, wait_for_ready=opened)) as messages:
                    async for message in messages:
                        opened = True
                        yield message
            except DEFINITIVE:
                raise
            except Exception as failure:  # also what a failing source of bearer tokens raises
                if not opened:
                    raise
                _log.info("a stream broke and is opened again: %s", failure)
                lived = timedelta(seconds=clock() - started)
                await self._pause(backoff.delay(lived=lived, at_least=_patience(failure)))

    async def _once(
        self,
        method: UnaryStreamMultiCallable[Request, Response],
        request: Request,
        *,
        wait_for_ready: bool,
    ) -> AsyncGenerator[Response]:
        """Yield the messages of one call, which never ends without an error."""
        if self._closed.is_set():
            raise closed()
        with translated():
            call = method(request, wait_for_ready=wait_for_ready)
        self._calls.add(call)
        try:
            yield await self._first(call)
            while True:
                yield await _next(call)
        finally:
            self._calls.discard(call)
            call.cancel()

    async def _first(self, call: UnaryStreamCall[Request, Response]) -> Response:
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return await _next(call)
        except TimeoutError:
            raise late() from None

    async def _pause(self, delay: timedelta) -> None:
        """Wait, but no longer than the client lives."""
        with suppress(TimeoutError):
            async with asyncio.timeout(delay.total_seconds()):
                await self._closed.wait()


async def _next(call: UnaryStreamCall[Request, Response]) -> Response:
    with translated():
        message = await call.read()
    if message is grpc.aio.EOF:
        raise ended()
    return cast("Response", message)


def _patience(failure: Exception) -> timedelta:
    wished = failure.retry_after if isinstance(failure, BrokerError) else None
    return min(wished or timedelta(0), _LONGEST_PATIENCE)
