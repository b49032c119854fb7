"""The client: tokens from memory, everything else over one channel. Its base classes have the methods."""

from __future__ import annotations

import warnings
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from wecom_broker._connection.connection import Connection
from wecom_broker._connection.interceptors.bearer import require_private
from wecom_broker._events.callbacks import Callbacks
from wecom_broker._events.events import Events
from wecom_broker._services.app_shares import AppShares
from wecom_broker._services.identity import Identity
from wecom_broker._services.js_sdk import JsSdk
from wecom_broker._services.mini_programs import MiniPrograms
from wecom_broker._services.suites import Suites
from wecom_broker._services.wecom_api import WecomApi
from wecom_broker._spans import Span, positive_span
from wecom_broker._tokens.access_token import AccessToken
from wecom_broker._tokens.flights import Flights
from wecom_broker._tokens.lifetimes import Lifetimes, steady
from wecom_broker._tokens.memory import TokenMemory
from wecom_broker._tokens.tokens import Tokens, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc.aio

    from wecom_broker._connection.tls import Tls


Request = TypeVar("Request")
Response = TypeVar("Response")


class Broker(Tokens, AppShares, JsSdk, Identity, MiniPrograms, WecomApi, Suites, Events, Callbacks):
    """A client of the broker for asyncio. It should live as long as your application does.

        async with Broker("dns:///wecom-broker:50051") as broker:
            token = await broker.access_token("crm", corp="ww…")

    It connects at the first call. The client belongs to the event loop in which it is entered or
    called first, and raises WrongEventLoop in any other; `wecom_broker.sync.Broker` serves all threads.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | Callable[[], str] | None = None,
        tls: Tls | None = None,
        timeout: Span = timedelta(seconds=10),
        idle_after: Span = timedelta(hours=1),
        trust_env: bool = False,
        allow_plaintext_token: bool = False,
        tracing: bool = False,
        clock: Callable[[], float] = steady,
    ) -> None:
        """Name the broker. Spans of time are a timedelta or a number of seconds.

        Args:
            target: `host:port`, `dns:///host:port` (calls rotate over all its addresses) or `unix:///path`.
            token: A bearer token that identifies the caller, or a function that returns the current one.
            tls: Use TLS; without it the connection is not encrypted.
            timeout: The default deadline of each call, and the deadline for opening each watch.
            idle_after: Stop watching a token that has not been read for this long.
            trust_env: Go through the HTTP proxy that `grpc_proxy`, `https_proxy` or `http_proxy` names, as
                gRPC does by default. A proxy sees everything that is sent without TLS.
            allow_plaintext_token: Send the token without TLS to another machine too, where anybody on the way
                can read it. Without this a ValueError is raised.
            tracing: Pass the trace of whoever calls on to the broker, as OpenTelemetry has it. A stream that
                is opened again passes none on: it outlives who began it. Needs `wecom-broker-client[otel]`.
            clock: Returns monotonic seconds; for tests.

        """
        if token is not None and tls is None and not allow_plaintext_token:
            require_private(target, trust_env=trust_env)
        self._target = target
        self._connection = Connection(
            target,
            tls=tls,
            token=token,
            timeout=positive_span("timeout", timeout),
            trust_env=trust_env,
            tracing=tracing,
        )
        self._flights = Flights[AccessToken]()
        # The watches do not refer to the client, so that a client that was not closed is collected and warns.
        self._memory = TokenMemory(
            partial(tokens_of, self._connection),
            idle_after=positive_span("idle_after", idle_after),
            lifetimes=Lifetimes(clock),
        )
        self._owner, self._watches, self._now = self._connection.owner, self._memory.watches, clock

    async def __aenter__(self) -> Self:
        """Bind the client to this event loop, and return it."""
        self._connection.owner.require()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.close()

    def __del__(self) -> None:
        """Warn if the client was not closed."""
        connection = getattr(self, "_connection", None)  # missing if the constructor failed
        if connection is not None and connection.needs_closing:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        """Show the target, but no secret."""
        return f"<{type(self).__qualname__} of {self._target!r}>"

    async def close(self) -> None:
        """Close the connection and leave nothing running; calls under way raise BrokerClosed.

        Handled events are acknowledged first, if that takes no longer than two seconds. May be
        repeated. Raises WrongEventLoop while the client's own loop may still use it.
        """
        if self._connection.owner.is_gone:
            self._connection.is_closed = True
            return
        if self._connection.needs_closing:
            self._connection.owner.require()
        await self._connection.end_streams()
        await self._flights.close()
        await self._memory.close()
        await self._connection.close()

    async def ask(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
    ) -> Response:
        """Return the answer of a unary method of a stub on `channel`, within the client's deadline.

        For services that this class has no methods for, such as AdminService. Raises BrokerError.
        """
        return await self._connection.call(method, request)

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, for the stubs in `wecom_broker.v1`, where this class has no method."""
        return self._connection.channel
