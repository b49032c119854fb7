"""A separate connection on which Redis sends published messages."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from broker.adapters.redis.replies import cause_of
from broker.domain.errors import StoreUnavailable

HEARTBEAT_SECONDS = 1.0
"""How often a silent subscription is checked, since a lost connection receives nothing.

And how often any is checked: a server may not know that another one is the primary now.
"""


class Subscription:
    """Yield messages until the connection is lost, or another server is the right one."""

    def __init__(self, pubsub: PubSub, is_current: Callable[[], Awaitable[bool]]) -> None:
        self._pubsub = pubsub
        self._is_current = is_current
        """Return whether its server is the right one still."""
        self._ended_by = ""
        self._checked_at = time.monotonic()

    def end(self, cause: str) -> None:
        """Make the reader subscribe again, at its next heartbeat at the latest."""
        self._ended_by = cause

    async def messages(self) -> AsyncIterator[str]:
        """Yield published messages. Raises `StoreUnavailable` at the end."""
        alive = True
        try:
            while not self._ended_by:
                message = await self._pubsub.get_message(timeout=HEARTBEAT_SECONDS)
                await self._check_server()
                if message is None:
                    if not alive:
                        raise StoreUnavailable("Redis is not available: the subscription is silent")
                    alive = False
                    await self._pubsub.ping()
                    continue
                alive = True
                if message["type"] == "message":
                    yield message["data"].decode(errors="replace")
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis is not available: {cause_of(error)}") from None
        raise StoreUnavailable(f"Redis is not available: {self._ended_by}")

    async def _check_server(self) -> None:
        now = time.monotonic()
        if now - self._checked_at < HEARTBEAT_SECONDS:
            return
        self._checked_at = now
        if not await self._is_current():
            self.end("another server is the primary now")
