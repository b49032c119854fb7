"""The tokens in memory.

Rule 1: a token is served from memory until it expires, whatever happens to its stream.
Rule 2: a token is never replaced by one of an older generation while it is valid, except by one of another
    corp id or agent id, or where WeCom refused it.
Rule 3: a target whose stream ended for good is forgotten, so that the next call asks the broker.
Rule 4: a target that is not read for `idle_after` is forgotten, and its stream is closed.
Rule 5: where the broker allows no more streams, a token is served for a minute without one, and after that
    until it expires, whenever the broker is asked and has none.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wecom_broker._spans import span
from wecom_broker._tokens.unwatched import UnwatchedTokens
from wecom_broker._tokens.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import timedelta

    from wecom_broker._spans import Span
    from wecom_broker._target import ShareKind, Target
    from wecom_broker._tokens.access_token import AccessToken
    from wecom_broker._tokens.lifetimes import Lifetimes, TokenAnswer
    from wecom_broker.v1 import token_service_pb2 as pb


class TokenMemory:
    """One watch for each target. All methods except `valid` belong to the event loop."""

    def __init__(
        self,
        open_tokens: Callable[[Target], AsyncGenerator[pb.WatchAccessTokenResponse]],
        *,
        idle_after: timedelta,
        lifetimes: Lifetimes,
    ) -> None:
        """Start empty."""
        self._open_tokens = open_tokens
        self._idle_seconds = idle_after.total_seconds()
        self._lifetimes = lifetimes
        self._now = lifetimes.now
        self.watches: dict[tuple[str, str, ShareKind | str | None, int], Watch] = {}
        """By target; whoever reads a token here writes `read_at`."""
        self.unwatched = UnwatchedTokens(lifetimes)
        self._sweeper: asyncio.Task[None] | None = None

    def valid(
        self,
        key: tuple[str, str, ShareKind | str | None, int],
        min_ttl: Span | None,
    ) -> AccessToken | None:
        """Return the token if it stays valid for `min_ttl`, else None.

        It must remain one lookup and one comparison, and callable from any thread. `Tokens.access_token`
        has the same in place, where most reads end.
        """
        watch = self.watches.get(key)
        if watch is None:
            return self.unwatched.valid(key, min_ttl)
        now = self._now()
        if watch.expires_at <= (now if min_ttl is None else now + span("min_ttl", min_ttl).total_seconds()):
            return None
        watch.read_at = now
        return watch.token

    def unexpired(self, target: Target) -> AccessToken | None:
        """Return the token if it is valid, even one whose rotation nobody would have told."""
        return self.valid(target, None) or self.unwatched.unexpired(target)

    def watch(self, target: Target) -> Watch:
        """Return the watch of the target; open one if there is none."""
        watch = self.watches.get(target)
        if watch is None:
            watch = Watch(
                self._open_tokens(target),
                target=target,
                lifetimes=self._lifetimes,
                on_open=lambda: self.unwatched.forget(target),
                on_end=lambda ended: self._forget(target, ended),
            )
            self.watches[target] = watch
            if self._sweeper is None:
                self._sweeper = asyncio.create_task(self._sweep(), name="wecom_broker idle watches")
        return watch

    def offer(self, answer: TokenAnswer, target: Target, refused: AccessToken | None = None) -> AccessToken:
        """Store a token that did not come from the watch; return the one to use.

        `refused` is the token whose report the answer is for.
        """
        watch = self.watches.get(target)
        if watch is not None and watch.is_open:
            return watch.offer(answer, refused)
        # A watch that is still to open may fail to, and then the token without a watch is served again.
        kept = self.unwatched.keep(answer, target, refused)
        return kept if watch is None else watch.offer(answer, refused)

    async def close(self) -> None:
        """Forget everything, and end every stream."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
        self.unwatched.close()
        await asyncio.gather(*(watch.close() for watch in self.watches.values()))

    def _forget(self, target: Target, watch: Watch) -> None:
        if self.watches.get(target) is watch:
            del self.watches[target]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._idle_seconds / 4)
            since = self._now() - self._idle_seconds
            unread = [watch for watch in self.watches.values() if watch.is_open and watch.read_at < since]
            await asyncio.gather(*(watch.close() for watch in unread))
