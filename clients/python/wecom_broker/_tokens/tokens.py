"""Access tokens from memory."""

from __future__ import annotations

from contextlib import aclosing
from threading import get_ident
from typing import TYPE_CHECKING

from wecom_broker._connection.process import Process
from wecom_broker._connection.streams import DEFINITIVE
from wecom_broker._spans import Span, span
from wecom_broker._target import ShareKind, Target
from wecom_broker._tokens.access_token import AccessToken
from wecom_broker._tokens.succession import is_newer, same_app
from wecom_broker.errors import CallerLimited, LimitReached, Unavailable
from wecom_broker.v1 import token_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from datetime import timedelta

    from wecom_broker._connection.connection import Connection
    from wecom_broker._connection.owner import Owner
    from wecom_broker._tokens.flights import Flights
    from wecom_broker._tokens.memory import TokenMemory
    from wecom_broker._tokens.watch import Watch


class Tokens:
    """The part of the client that returns access tokens."""

    _connection: Connection
    _owner: Owner
    _memory: TokenMemory
    _watches: Mapping[tuple[str, str, ShareKind | str | None, int], Watch]
    """Those of the memory."""
    _now: Callable[[], float]
    _flights: Flights[AccessToken]

    async def access_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        min_ttl: Span | None = None,
    ) -> AccessToken:
        """Return a token that is valid now, from memory except for the first call for a target.

        An empty `corp` means the app's own. `share_kind` and `agent_id` are needed only to choose among
        several. `min_ttl` is the least remaining life: if the token in memory has less, the broker is asked,
        and returns the best valid one if WeCom has none with that much.

        Raises BrokerError.
        """
        # The warm read, in one piece: each call of a function costs about as much as the rest of it.
        key = (app, corp, share_kind, agent_id)
        watch = self._watches.get(key)
        owner = self._owner
        if (
            watch is not None
            and min_ttl is None
            and owner.thread == get_ident()
            and owner.process is Process.current
            and owner.is_running()
        ):
            now = self._now()
            if now < watch.expires_at:
                watch.read_at = now
                return watch.token
        return await self._cold_token(key, min_ttl)

    def held_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        min_ttl: Span | None = None,
    ) -> AccessToken | None:
        """Return the token in memory if it is valid, else None, without a call. Any thread may call it.

        Raises MadeBeforeFork.
        """
        self._owner.require_process()
        return self._memory.valid((app, corp, share_kind, agent_id), min_ttl)

    async def rejected(self, token: AccessToken, errcode: int) -> AccessToken:
        """Report that WeCom refused the token, with 40014 or 42001; return the one to use from now on.

        Call it wherever the refusal is seen: for all reports, the broker fetches at most one new token.
        Raises BrokerError.
        """
        self._connection.require_usable()
        held = self._memory.valid(token.target, None)
        if held is not None and is_newer(held, token):
            return held
        return await self._flights.join(
            ("report", token.target, token.corp_id, token.agent_id, token.generation),
            lambda: self._report(token, errcode),
        )

    async def watch_access_token(
        self,
        app: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        corp_id: None = None,
    ) -> AsyncGenerator[AccessToken]:
        """Yield the current token, then each rotation, across restarts of the broker. Raises BrokerError.

        Only for those who must act on a rotation; `access_token` keeps itself current.
        """
        target = Target.of(app, corp, share_kind, agent_id, corp_id)
        current = None
        async with aclosing(tokens_of(self._connection, target)) as answers:
            async for answer in answers:
                token = AccessToken.from_proto(answer.token, target)
                if current is None or is_newer(token, current) or not same_app(token, current):
                    current = token
                    yield token

    async def _cold_token(
        self, key: tuple[str, str, ShareKind | str | None, int], min_ttl: Span | None
    ) -> AccessToken:
        """Return the token, or say what is wrong with the call. It is complete without the warm read."""
        self._owner.require()
        token = self._memory.valid(key, min_ttl)
        if token is not None:
            return token
        return await self._acquire(Target.of(*key), min_ttl)

    async def _acquire(self, target: Target, min_ttl: Span | None) -> AccessToken:
        self._connection.require_usable()
        least = None if min_ttl is None else span("min_ttl", min_ttl)
        try:
            return await self._asked(target, least)
        except (Unavailable, LimitReached):
            # A token with a shorter life than requested, or without a watch, is better than none.
            held = self._memory.unexpired(target)
            if held is None:
                raise
            return held
        except DEFINITIVE:
            self._memory.unwatched.forget(target)
            raise

    async def _asked(self, target: Target, min_ttl: timedelta | None) -> AccessToken:
        """Return the token by a watch; by a call, where there is no watch or the token lives too short."""
        if not self._memory.unwatched.are_kept or target in self._watches:
            try:
                await self._memory.watch(target).opened()
            except CallerLimited:
                # The broker allows this service no more watches; it may still ask.
                self._memory.unwatched.begin()
            else:
                token = self._memory.valid(target, min_ttl)
                if token is not None:
                    return token
        return await self._flights.join(("fetch", target, min_ttl), lambda: self._fetch(target, min_ttl))

    async def _fetch(self, target: Target, min_ttl: timedelta | None) -> AccessToken:
        request = pb.GetAccessTokenRequest(target=target.to_proto(), min_ttl=min_ttl)
        response = await self._connection.call(self._connection.stubs.tokens.GetAccessToken, request)
        return self._memory.offer(response, target)

    async def _report(self, token: AccessToken, errcode: int) -> AccessToken:
        request = pb.ReportInvalidTokenRequest(
            target=token.target.to_proto(),
            generation=token.generation,
            errcode=errcode,
        )
        response = await self._connection.call(self._connection.stubs.tokens.ReportInvalidToken, request)
        return self._memory.offer(response, token.target, token)


async def tokens_of(connection: Connection, target: Target) -> AsyncGenerator[pb.WatchAccessTokenResponse]:
    """Yield the current token of a target, then each rotation. Raises BrokerError."""
    request = pb.WatchAccessTokenRequest(target=target.to_proto())
    async with aclosing(connection.follow(connection.stubs.tokens.WatchAccessToken, request)) as answers:
        async for answer in answers:
            yield answer
