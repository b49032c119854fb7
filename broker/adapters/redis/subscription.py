"""A separate connection on which Redis sends published messages."""

from collections.abc import AsyncIterator

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from broker.adapters.redis.replies import cause_of
from broker.domain.errors import StoreUnavailable

HEARTBEAT_SECONDS = 1.0
"""How often a silent subscription is checked: a lost connection receives nothing."""


class Subscription:
    """Yield messages until the connection is lost, or the address may lead to another server."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub
        self._ended_by = ""

    def end(self, cause: str) -> None:
        """Make the reader subscribe again, at its next heartbeat at the latest."""
        self._ended_by = cause

    async def messages(self) -> AsyncIterator[str]:
        """Yield published messages. Raises `StoreUnavailable` at the end."""
        alive = True
        try:
            while not self._ended_by:
                message = await self._pubsub.get_message(timeout=HEARTBEAT_SECONDS)
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
