"""The connection to the broker: one channel, opened at the first use, and a deadline for every call."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from wecom_broker._connection.channel import open_channel
from wecom_broker._connection.failures import closed, translated
from wecom_broker._connection.streams import Streams
from wecom_broker.v1.app_share_service_pb2_grpc import AppShareServiceStub
from wecom_broker.v1.callback_service_pb2_grpc import CallbackServiceStub
from wecom_broker.v1.event_service_pb2_grpc import EventServiceStub
from wecom_broker.v1.identity_service_pb2_grpc import IdentityServiceStub
from wecom_broker.v1.js_sdk_service_pb2_grpc import JsSdkServiceStub
from wecom_broker.v1.mini_program_service_pb2_grpc import MiniProgramServiceStub
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceStub
from wecom_broker.v1.wecom_api_service_pb2_grpc import WecomApiServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
    from datetime import timedelta

    import grpc.aio

    from wecom_broker._connection.channel import Tls
    from wecom_broker.v1.app_share_service_pb2_grpc import AppShareServiceAsyncStub
    from wecom_broker.v1.callback_service_pb2_grpc import CallbackServiceAsyncStub
    from wecom_broker.v1.event_service_pb2_grpc import EventServiceAsyncStub
    from wecom_broker.v1.identity_service_pb2_grpc import IdentityServiceAsyncStub
    from wecom_broker.v1.js_sdk_service_pb2_grpc import JsSdkServiceAsyncStub
    from wecom_broker.v1.mini_program_service_pb2_grpc import MiniProgramServiceAsyncStub
    from wecom_broker.v1.token_service_pb2_grpc import TokenServiceAsyncStub
    from wecom_broker.v1.wecom_api_service_pb2_grpc import WecomApiServiceAsyncStub

Request = TypeVar("Request")
Response = TypeVar("Response")


class Connection:
    """What calls and streams go over. It belongs to the event loop of its first use."""

    def __init__(
        self,
        target: str,
        *,
        tls: Tls | None,
        token: str | Callable[[], str] | None,
        timeout: timedelta,
    ) -> None:
        """Connect to nothing yet."""
        self.is_closed = False
        self._target = target
        self._tls = tls
        self._token = token
        self._timeout_seconds = timeout.total_seconds()
        self._streams = Streams(timeout)
        self._last_work: set[Callable[[], Awaitable[None]]] = set()
        self._channel: grpc.aio.Channel | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is something to close."""
        return self._channel is not None and not self.is_closed

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, opened if it is not. Raises BrokerClosed."""
        self.require_open()
        if self._channel is None:
            self._channel = open_channel(self._target, self._tls, self._token)
        return self._channel

    @cached_property
    def tokens(self) -> TokenServiceAsyncStub:
        """The stub of TokenService."""
        return TokenServiceStub(self.channel)

    @cached_property
    def shares(self) -> AppShareServiceAsyncStub:
        """The stub of AppShareService."""
        return AppShareServiceStub(self.channel)

    @cached_property
    def pages(self) -> JsSdkServiceAsyncStub:
        """The stub of JsSdkService."""
        return JsSdkServiceStub(self.channel)

    @cached_property
    def identity(self) -> IdentityServiceAsyncStub:
        """The stub of IdentityService."""
        return IdentityServiceStub(self.channel)

    @cached_property
    def mini_programs(self) -> MiniProgramServiceAsyncStub:
        """The stub of MiniProgramService."""
        return MiniProgramServiceStub(self.channel)

    @cached_property
    def api(self) -> WecomApiServiceAsyncStub:
        """The stub of WecomApiService."""
        return WecomApiServiceStub(self.channel)

    @cached_property
    def events(self) -> EventServiceAsyncStub:
        """The stub of EventService."""
        return EventServiceStub(self.channel)

    @cached_property
    def callbacks(self) -> CallbackServiceAsyncStub:
        """The stub of CallbackService."""
        return CallbackServiceStub(self.channel)

    def require_open(self) -> None:
        """Raise BrokerClosed after `close`."""
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
        seconds = self._timeout_seconds if timeout is None else timeout.total_seconds()
        with translated():
            return await method(request, timeout=seconds, wait_for_ready=wait_for_ready)

    def follow(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        *,
        on_open: Callable[[], None] | None = None,
        before_again: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncGenerator[Response]:
        """Yield the messages of a stream, over restarts of the broker. Raises BrokerError."""
        return self._streams.follow(method, request, on_open=on_open, before_again=before_again)

    @contextmanager
    def before_end(self, work: Callable[[], Awaitable[None]]) -> Iterator[None]:
        """Have the work done before the streams are ended, should that happen inside the block."""
        self._last_work.add(work)
        try:
            yield
        finally:
            self._last_work.discard(work)

    async def end_streams(self) -> None:
        """Refuse new work, do the last, and end the streams."""
        self.is_closed = True
        await asyncio.gather(*(work() for work in self._last_work))
        self._streams.close()

    async def close(self) -> None:
        """End all work. May be repeated."""
        await self.end_streams()
        if self._channel is not None:
            await self._channel.close()
