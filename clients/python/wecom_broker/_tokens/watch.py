"""The shared stream of one target, and the newest token that came by it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from wecom_broker._connection.failures import translated

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from wecom_broker._target import AccessToken


class Watch:
    """A token in memory that the broker keeps current.

    `token` and `expires_at` are read without a lock, also by other threads: `expires_at` is 0 until there is
    a token, and is written after it.
    """

    __slots__ = ("_clock", "_first", "_task", "expires_at", "read_at", "token")

    token: AccessToken

    def __init__(
        self,
        tokens: AsyncGenerator[AccessToken],
        *,
        clock: Callable[[], float],
        on_end: Callable[[Watch], None],
    ) -> None:
        """Start to follow the tokens. `on_end` is called once they have ended, by an error or by `close`."""
        self._clock = clock
        self.expires_at = 0.0
        self.read_at = clock()
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._follow(tokens), name="wecom_broker watch")
        self._task.add_done_callback(lambda _: on_end(self))
        self._task.add_done_callback(lambda _: self._first.cancel())

    @property
    def is_open(self) -> bool:
        """Whether the first token has come."""
        return self._first.done()

    async def opened(self) -> None:
        """Wait for the first token. Raises what kept it from coming; a cancelled waiter disturbs no other."""
        with translated():
            await asyncio.shield(self._first)

    def offer(self, token: AccessToken) -> AccessToken:
        """Take the token unless a newer one is held and valid; return the one that is held then."""
        if self.expires_at <= self._clock() or token.generation >= self.token.generation:
            self.token = token
            self.expires_at = token.expire_time.timestamp()
        return self.token

    async def close(self) -> None:
        """End the stream."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _follow(self, tokens: AsyncGenerator[AccessToken]) -> None:
        try:
            async with aclosing(tokens):
                async for token in tokens:
                    self.offer(token)
                    if not self._first.done():
                        self._first.set_result(None)
        except Exception as failure:  # noqa: BLE001  whatever it is, it belongs to those who wait
            if not self._first.done():
                self._first.set_exception(failure)
                self._first.exception()  # counts as seen, even if every waiter has left
