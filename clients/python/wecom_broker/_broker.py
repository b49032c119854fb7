"""The client: tokens from memory, everything else over one channel.

What it does beside tokens and shares is in its parts: `Pages`, `Visitors`, `Sessions`, `Api`, `Events`,
`Callbacks`.
"""

from __future__ import annotations

import time
import warnings
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Self

from google.protobuf.duration_pb2 import Duration

from wecom_broker._connection.connection import Connection
from wecom_broker._events.callbacks import Callbacks
from wecom_broker._events.events import Events
from wecom_broker._services.app_shares import AppShare, AppShareChange, AppShareSync
from wecom_broker._services.identity import Visitors
from wecom_broker._services.js_sdk import Pages
from wecom_broker._services.mini_programs import Sessions
from wecom_broker._services.wecom_api import Api
from wecom_broker._target import SHARE_KIND_NUMBERS, AccessToken, ShareKind, Target
from wecom_broker._tokens.flights import Flights
from wecom_broker._tokens.memory import TokenMemory
from wecom_broker.errors import Unavailable
from wecom_broker.v1 import app_share_service_pb2 as shares_pb2
from wecom_broker.v1 import token_service_pb2 as tokens_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import grpc.aio

    from wecom_broker._connection.channel import Tls


class Broker(Pages, Visitors, Sessions, Api, Events, Callbacks):
    """A client of the broker for asyncio. It should live as long as your application does.

        async with Broker("dns:///wecom-broker:50051") as broker:
            token = await broker.access_token("crm", corp="ww…")

    Nothing is connected before the first call. The client belongs to the event loop of that call; threads
    without a loop use `wecom_broker.sync.Broker`.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | Callable[[], str] | None = None,
        tls: Tls | None = None,
        timeout: timedelta = timedelta(seconds=10),
        idle_after: timedelta = timedelta(hours=1),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Name the broker.

        Args:
            target: `host:port`, `dns:///host:port` (calls go round all its addresses) or `unix:///path`.
            token: A bearer token to be known by, or a function that returns the present one.
            tls: Use TLS; without it the connection is in the clear.
            timeout: The deadline of each call that is given no other, and of the opening of each watch.
            idle_after: Stop watching a token that was not read for so long.
            clock: Unix time in seconds, for tests.

        """
        for name, span in (("timeout", timeout), ("idle_after", idle_after)):
            if span <= timedelta(0):
                message = f"{name} must be longer than nothing"
                raise ValueError(message)
        self._target = target
        self._connection = Connection(target, tls=tls, token=token, timeout=timeout)
        self._flights = Flights[AccessToken]()
        # The watches do not know the client, so that a forgotten one is collected and noticed.
        self._memory = TokenMemory(partial(_tokens_of, self._connection), idle_after=idle_after, clock=clock)

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.close()

    def __del__(self) -> None:
        """Complain about a forgotten close."""
        connection = getattr(self, "_connection", None)  # missing if the constructor failed
        if connection is not None and connection.is_open:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        """Show the target, and no secret."""
        return f"<{type(self).__qualname__} of {self._target!r}>"

    async def close(self) -> None:
        """Close the connection and leave nothing running; calls under way raise BrokerClosed.

        Events that are handled are acknowledged first, if that takes no longer than two seconds. May be
        repeated.
        """
        await self._connection.end_streams()
        await self._flights.close()
        await self._memory.close()
        await self._connection.close()

    @property
    def channel(self) -> grpc.aio.Channel:
        """The channel, for the stubs in `wecom_broker.v1`: whatever this class has no method for."""
        return self._connection.channel

    async def access_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        min_ttl: timedelta | None = None,
    ) -> AccessToken:
        """Return a token that is valid now; from memory, but for the first call for a target.

        An empty `corp` means the app's own. `share_kind` and `agent_id` are needed only to choose among
        several. `min_ttl` is the least life to be left: if the token in memory has less, the broker is asked,
        and the best valid one is returned where there is none so long-lived.

        Raises BrokerError.
        """
        token = self._memory.valid((app, corp, share_kind, agent_id), min_ttl)
        if token is not None:
            return token
        return await self._acquire(Target.of(app, corp, share_kind, agent_id), min_ttl)

    def held_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        min_ttl: timedelta | None = None,
    ) -> AccessToken | None:
        """Return the token in memory if it is valid, else None. Asks nobody; any thread may call it."""
        return self._memory.valid((app, corp, share_kind, agent_id), min_ttl)

    async def rejected(self, token: AccessToken, errcode: int) -> AccessToken:
        """Tell that WeCom refused the token, with 40014 or 42001, and return the one to use from now on.

        Safe to call from everywhere that sees the refusal: the broker fetches anew at most once.
        Raises BrokerError.
        """
        held = self._memory.valid(token.target, None)
        if held is not None and held.generation > token.generation:
            return held
        return await self._flights.join(
            ("report", token.target, token.generation),
            lambda: self._report(token, errcode),
        )

    async def watch_access_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
    ) -> AsyncGenerator[AccessToken]:
        """Yield the present token, then each rotation, over restarts of the broker. Raises BrokerError.

        Only for those who must act on a rotation; `access_token` keeps itself current.
        """
        target = Target.of(app, corp, share_kind, agent_id)
        newest = 0
        async with aclosing(_tokens_of(self._connection, target)) as tokens:
            async for token in tokens:
                if token.generation > newest:
                    newest = token.generation
                    yield token

    async def app_shares(
        self,
        app: str,
        share_kind: ShareKind | str | None = None,
    ) -> AsyncGenerator[AppShare]:
        """Yield the shares of an app that the broker knows, page by page. Raises BrokerError."""
        kind = None if share_kind is None else ShareKind(share_kind)
        request = shares_pb2.ListAppSharesRequest(app=app, share_kind=SHARE_KIND_NUMBERS[kind])
        while True:
            page = await self._connection.call(self._connection.shares.ListAppShares, request)
            for message in page.shares:
                yield AppShare.from_proto(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def sync_app_shares(self, app: str) -> AppShareSync:
        """Have the broker list the shares of an app at WeCom anew. Raises BrokerError."""
        request = shares_pb2.SyncAppSharesRequest(app=app)
        return AppShareSync.from_proto(
            await self._connection.call(self._connection.shares.SyncAppShares, request)
        )

    async def watch_app_shares(self, app: str) -> AsyncGenerator[AppShareChange]:
        """Yield the present shares of an app, then each change. Raises BrokerError.

        After a restart of the broker a new snapshot comes, which replaces all that was known before.
        """
        request = shares_pb2.WatchAppSharesRequest(app=app)
        async with aclosing(
            self._connection.follow(self._connection.shares.WatchAppShares, request)
        ) as changes:
            async for change in changes:
                yield AppShareChange.from_proto(change)

    async def _acquire(self, target: Target, min_ttl: timedelta | None) -> AccessToken:
        self._connection.require_open()
        await self._memory.watch(target).opened()
        return self._memory.valid(target, min_ttl) or await self._renewed(target, min_ttl)

    async def _renewed(self, target: Target, min_ttl: timedelta | None) -> AccessToken:
        try:
            return await self._flights.join(("fetch", target, min_ttl), lambda: self._fetch(target, min_ttl))
        except Unavailable:
            # A shorter life than the caller wished for is better than none.
            held = self._memory.valid(target, None)
            if held is None:
                raise
            return held

    async def _fetch(self, target: Target, min_ttl: timedelta | None) -> AccessToken:
        request = tokens_pb2.GetAccessTokenRequest(target=target.to_proto(), min_ttl=_duration(min_ttl))
        response = await self._connection.call(self._connection.tokens.GetAccessToken, request)
        return self._memory.offer(AccessToken.from_proto(response.token, target))

    async def _report(self, token: AccessToken, errcode: int) -> AccessToken:
        request = tokens_pb2.ReportInvalidTokenRequest(
            target=token.target.to_proto(),
            generation=token.generation,
            errcode=errcode,
        )
        response = await self._connection.call(self._connection.tokens.ReportInvalidToken, request)
        return self._memory.offer(AccessToken.from_proto(response.token, token.target))


async def _tokens_of(connection: Connection, target: Target) -> AsyncGenerator[AccessToken]:
    request = tokens_pb2.WatchAccessTokenRequest(target=target.to_proto())
    async with aclosing(connection.follow(connection.tokens.WatchAccessToken, request)) as responses:
        async for response in responses:
            yield AccessToken.from_proto(response.token, target)


def _duration(span: timedelta | None) -> Duration | None:
    if span is None:
        return None
    message = Duration()
    message.FromTimedelta(span)
    return message
