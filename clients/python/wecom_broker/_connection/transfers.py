"""Streams that upload or download one file. Unlike watches, they end and are never reopened."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import grpc.aio

from wecom_broker._connection.failures import translated
from wecom_broker.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import timedelta

    from grpc.aio import StreamUnaryMultiCallable, UnaryStreamMultiCallable

Request = TypeVar("Request")
Response = TypeVar("Response")


async def receive(
    address: str,
    is_closed: Callable[[], bool],
    method: UnaryStreamMultiCallable[Request, Response],
    request: Request,
    timeout: timedelta,  # noqa: ASYNC109  it becomes gRPC's deadline
) -> AsyncGenerator[Response]:
    """Yield the messages until the broker ends the stream normally. Raises BrokerError."""
    with translated(address, is_closed):
        call = method(request, timeout=timeout.total_seconds())
    try:
        while True:
            with translated(address, is_closed):
                message = await call.read()
            if message is grpc.aio.EOF:
                return
            yield cast("Response", message)
    finally:
        call.cancel()


async def send(
    address: str,
    is_closed: Callable[[], bool],
    method: StreamUnaryMultiCallable[Request, Response],
    messages: AsyncGenerator[Request],
    timeout: timedelta,  # noqa: ASYNC109  it becomes gRPC's deadline
) -> Response:
    """Send the messages, and return the answer. Raises BrokerError, and what the messages raise."""
    handover = _Handover[Request]()
    with translated(address, is_closed):
        call = method(handover.taken(), timeout=timeout.total_seconds())
    giving = asyncio.create_task(handover.give(messages), name="wecom_broker upload")
    giving.add_done_callback(lambda done: call.cancel() if _failure(done) else None)
    try:
        with translated(address, is_closed):
            return await call
    except BrokerError:
        if failure := _failure(giving):
            raise failure from None
        raise
    finally:
        giving.cancel()
        await asyncio.wait([giving])
        handover.end()


class _Handover(Generic[Request]):
    """Pass messages to gRPC one by one, so that either side can stop.

    gRPC reads messages in its own task, which never ends if it waits for one when the call ends, and which
    swallows what they raise. So it reads from this queue, which can be ended.
    """

    def __init__(self) -> None:
        self._next: asyncio.Queue[Request | None] = asyncio.Queue(1)

    async def give(self, messages: AsyncGenerator[Request]) -> None:
        """Pass on all messages. Raises what they raise."""
        async with aclosing(messages):
            async for message in messages:
                await self._next.put(message)
        await self._next.put(None)

    async def taken(self) -> AsyncGenerator[Request]:
        """Yield the messages until the end."""
        while (message := await self._next.get()) is not None:
            yield message

    def end(self) -> None:
        """Release gRPC if it still waits for a message."""
        if self._next.empty():
            self._next.put_nowait(None)


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None
