"""The connection to the broker: one channel, opened at first use, and a deadline for every call."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from wecom_broker._connection import transfers
from wecom_broker._connection.channel import open_channel
from wecom_broker._connection.failures import closed, translated
from wecom_broker._connection.interceptors.tracing import traced
from wecom_broker._connection.owner import Owner
from wecom_broker._connection.process import Process
from wecom_broker._connection.streams import Streams
from wecom_broker._connection.stubs import Stubs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
    from datetime import timedelta

    import grpc.aio

    from wecom_broker._connection.tls import Tls

Request = TypeVar("Request")
Response = TypeVar("Response")


class Connection:
    """Carries calls and streams. It belongs to the event loop of its first use."""

    def __init__(
        self,
        target: str,
        *,
        tls: Tls | None,
        token: str | Callable[[], str] | None,
        timeout: timedelta,
        trust_env: bool,
        tracing: bool = False,
    ) -> None:
        """Keep the parameters; the first use connects. Raises ImportError."""
        self.is_closed = False
        self.owner = Owner()
        self._target = target
        interceptors = traced() if tracing else []
        self._open_channel = partial(
            open_channel, target, tls=tls, token=token, trust_env=trust_env, interceptors=interceptors
        )
        self._timeout = timeout
        self._streams = Streams(target, timeout)
        self._last_work: set[Callable[[], Awaitable[None]]] = set()
        self._channel: grpc.aio.Channel | None = None
        self._stubs: Stubs | None = None

    @property
    def needs_closing(self) -> bool:
        """Whether there is something to close."""
        return self._channel is not None and not self.is_closed and not self.owner.is_parent

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, opened at first use. Raises BrokerError where the client cannot be used."""
        self.require_usable()
        if self._channel is None:
            Process.use_grpc(self)
            self._channel = self._open_channel()
        return self._channel

    @property
    def stubs(self) -> Stubs:
        """The stubs of the channel. Raises BrokerError where the client cannot be used."""
        channel = self.channel
        if self._stubs is None:
            self._stubs = Stubs(channel)
        return self._stubs

    def require_usable(self) -> None:
        """Raise BrokerClosed after `close`, MadeBeforeFork in a child, WrongEventLoop in another loop."""
        self.owner.require()
        if self.is_closed:
            raise closed()

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        timeout: timedelta | None = None,  # noqa: ASYNC109  it becomes gRPC's deadline
        *,
        wait_for_ready: bool | None = None,
    ) -> Response:
        """Return the answer to a unary call; its deadline is the client's by default. Raises BrokerError."""
        seconds = (timeout or self._timeout).total_seconds()
        with translated(self._target, self._is_closed):
            return await method(request, timeout=seconds, wait_for_ready=wait_for_ready)

    def follow(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        *,
        on_open: Callable[[], None] | None = None,
        before_again: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncGenerator[Response]:
        """Yield the messages of a stream, across restarts of the broker. Raises BrokerError."""
        return self._streams.follow(method, request, on_open=on_open, before_again=before_again)

    def receive(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        timeout: timedelta,
    ) -> AsyncGenerator[Response]:
        """Yield the messages of a download. Raises BrokerError."""
        return transfers.receive(self._target, self._is_closed, method, request, timeout)

    async def send(
        self,
        method: grpc.aio.StreamUnaryMultiCallable[Request, Response],
        messages: AsyncGenerator[Request],
        timeout: timedelta,  # noqa: ASYNC109  it becomes gRPC's deadline
    ) -> Response:
        """Return the answer to an upload. Raises BrokerError, and what the messages raise."""
        return await transfers.send(self._target, self._is_closed, method, messages, timeout)

    @contextmanager
    def before_end(self, work: Callable[[], Awaitable[None]]) -> Iterator[None]:
        """Have the work done before the streams are ended, if that happens inside the block."""
        self._last_work.add(work)
        try:
            yield
        finally:
            self._last_work.discard(work)

    async def end_streams(self) -> None:
        """Refuse new work, do the registered last work, and end the streams."""
        self.is_closed = True
        await asyncio.gather(*(work() for work in self._last_work))
        self._streams.close()

    def _is_closed(self) -> bool:
        return self.is_closed

    async def close(self) -> None:
        """End all work. May be repeated."""
        await self.end_streams()
        if self._channel is not None:
            await self._channel.close()
            self._channel = self._stubs = None
            Process.leave_grpc(self)
