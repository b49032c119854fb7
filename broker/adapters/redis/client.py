"""One Redis, reached with a pool: fails quickly, and is left alone for a moment after it failed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from broker.domain.errors import StoreUnavailable

ANSWER_SECONDS = 1.0
"""How long Redis may take: callers wait for it before they are served without it."""
LEFT_ALONE_SECONDS = 0.5
"""How long nobody tries again after a failure: a hung Redis must not cost every caller a second."""

Answer = TypeVar("Answer")


class RedisClient:
    """Run commands; a Redis that fails, hangs or refuses is `StoreUnavailable`."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._failed = False
        self._down_until = 0.0

    async def run(self, command: Callable[[Redis], Awaitable[Answer]]) -> Answer:
        """Return the command's answer. Raises `StoreUnavailable`."""
        if time.monotonic() < self._down_until:
            raise _unavailable("it failed a moment ago")
        trying_again = self._failed
        if trying_again:
            # One caller finds out whether it is back; the others do not wait for that.
            self._down_until = time.monotonic() + ANSWER_SECONDS
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await command(self._client)
        except ResponseError as error:
            # It answers: what it refuses to one command says nothing about the others.
            self._answers()
            raise _unavailable(_said(error)) from None
        except (RedisError, OSError, TimeoutError) as error:
            self._failed = True
            self._down_until = time.monotonic() + LEFT_ALONE_SECONDS
            raise _unavailable(_said(error)) from None
        except asyncio.CancelledError:
            if trying_again:
                self._down_until = 0.0
            raise
        self._answers()
        return answer

    def script(self, text: str) -> Callable[..., Awaitable[Any]]:
        """Return the script as a function of keys and arguments."""
        script = self._client.register_script(text)

        async def call(keys: list[str], arguments: list[Any]) -> Any:
            return await self.run(lambda client: script(keys=keys, args=arguments, client=client))

        return call

    @asynccontextmanager
    async def subscription(self, channel: str) -> AsyncIterator[PubSub]:
        """Hold a connection of its own that is subscribed. Raises `StoreUnavailable`."""
        pubsub = self._client.pubsub()
        try:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await pubsub.subscribe(channel)
                    # Only sent so far: what is told before Redis confirms it would be missed.
                    await pubsub.get_message(timeout=None)
            except (RedisError, OSError, TimeoutError) as error:
                raise _unavailable(_said(error)) from None
            self._answers()
            yield pubsub
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    def _answers(self) -> None:
        self._failed = False
        self._down_until = 0.0

    async def seconds(self) -> float:
        """Return the time of Redis, in seconds since 1970, as it is now. Raises `StoreUnavailable`."""
        began = time.monotonic()
        seconds, micros = await self.run(lambda client: client.time())
        return float(seconds) + float(micros) / 1e6 + (time.monotonic() - began) / 2


@asynccontextmanager
async def connect_redis(url: str) -> AsyncIterator[RedisClient]:
    """Open a pool for `redis://` or `rediss://` (TLS; user and password of an ACL in the URL).

    Raises `StoreUnavailable` at the first command, not here.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        socket_timeout=None,  # each command has its own, in `run`; a subscription waits for ever
        socket_connect_timeout=ANSWER_SECONDS,
        socket_keepalive=True,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        max_connections=16,
        timeout=ANSWER_SECONDS,
    )
    client = Redis(connection_pool=pool)
    try:
        yield RedisClient(client)
    finally:
        await client.aclose()
        await pool.aclose()


def milliseconds(duration: timedelta) -> int:
    """Return a duration in whole milliseconds, at least one."""
    return max(1, int(duration.total_seconds() * 1000))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _unavailable(why: str) -> StoreUnavailable:
    return StoreUnavailable(f"Redis is not available: {why}", timedelta(seconds=LEFT_ALONE_SECONDS * 2))
