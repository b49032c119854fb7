"""The shared stream of one target, and the newest token that it has received."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from math import inf
from typing import TYPE_CHECKING

from wecom_broker._connection.failures import translated
from wecom_broker._tokens.access_token import AccessToken
from wecom_broker._tokens.succession import stays

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from wecom_broker._target import Target
    from wecom_broker._tokens.lifetimes import Lifetimes, TokenAnswer
    from wecom_broker.v1 import token_service_pb2 as pb


class Watch:
    """A token in memory that the broker keeps current.

    Other threads too read `token` and `expires_at` without a lock: `expires_at` is minus infinity
    until there is a token, and is written after it.
    """

    __slots__ = ("_first", "_lifetimes", "_target", "_task", "expires_at", "read_at", "token")

    token: AccessToken

    def __init__(
        self,
        tokens: AsyncGenerator[pb.WatchAccessTokenResponse],
        *,
        target: Target,
        lifetimes: Lifetimes,
        on_open: Callable[[], None],
        on_end: Callable[[Watch], None],
    ) -> None:
        """Start to follow the tokens.

        `on_open` is called at the first, and `on_end` once they have ended, by an error or by `close`.
        """
        self._target = target
        self._lifetimes = lifetimes
        self.expires_at = -inf
        self.read_at = lifetimes.now()
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._follow(tokens, on_open), name="wecom_broker watch")
        self._task.add_done_callback(lambda _: on_end(self))
        self._task.add_done_callback(lambda _: self._first.cancel())

    @property
    def is_open(self) -> bool:
        """Whether the first token has come."""
        return self._first.done()

    async def opened(self) -> None:
        """Wait for the first token. Raises its failure. A cancelled waiter affects no other."""
        with translated():
            await asyncio.shield(self._first)

    def offer(self, answer: TokenAnswer, refused: AccessToken | None = None) -> AccessToken:
        """Store a token that has just arrived unless a newer valid one is held; return the held one.

        `refused` is the token whose report the answer is for.
        """
        arrived = AccessToken.from_proto(answer.token, self._target)
        if self.expires_at <= self._lifetimes.now() or not stays(self.token, arrived, refused):
            self.token = arrived
            self.expires_at = self._lifetimes.end_of(answer)
        return self.token

    async def close(self) -> None:
        """End the stream."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _follow(
        self, tokens: AsyncGenerator[pb.WatchAccessTokenResponse], on_open: Callable[[], None]
    ) -> None:
        try:
            async with aclosing(tokens):
                async for answer in tokens:
                    self.offer(answer)
                    if not self._first.done():
                        self._first.set_result(None)
                        on_open()
        except Exception as failure:  # noqa: BLE001  every error is raised in the waiters
            if not self._first.done():
                self._first.set_exception(failure)
                self._first.exception()  # marks the exception as retrieved, even if every waiter has left
