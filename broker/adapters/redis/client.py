"""One Redis, reached through a pool: fails fast, and is not asked again for a moment after a failure."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from broker.adapters.redis.mending import mend
from broker.adapters.redis.replies import cause_of, comes_from_wrong_server, is_of_wrong_type
from broker.adapters.redis.subscription import Subscription
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Observer

ANSWER_SECONDS = 1.0
"""How long Redis may take to answer: callers wait this long before they are served without it."""
LEFT_ALONE_SECONDS = 0.5
"""How long no command is sent after a failure: a hung Redis must not cost every caller a second."""
RECONNECT_SECONDS = 1.0
"""The least time between two reconnects of the whole pool, while the address leads to a wrong server."""

CONNECTIONS = 16
"""One of them is for the subscription."""

Answer = TypeVar("Answer")


class RedisClient:
    """Run commands; raise `StoreUnavailable` when Redis fails, hangs or refuses.

    A reply that says "this is not the server you want" ends all connections, subscriptions
    included: new ones resolve the address again, which leads to another server after a failover.
    """

    def __init__(self, connect: Callable[[], Redis], observer: Observer | None = None) -> None:
        self._connect = connect
        self.observer = observer
        self._redis = connect()
        self._failed = False
        self._cause = ""
        self._down_until = 0.0
        self._reconnect_after = 0.0
        self._subscriptions: set[Subscription] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(CONNECTIONS - 1)

    async def run(self, command: Callable[[Redis], Awaitable[Answer]]) -> Answer:
        """Return the command's answer. Raises `StoreUnavailable`."""
        try:
            return await self._attempt(command)
        except (RedisError, OSError, TimeoutError) as error:
            raise unavailable(cause_of(error)) from None

    async def prove(self, write: Callable[[Redis], Awaitable[object]]) -> None:
        """Return if the server is the right one, even if it refuses the write. Raises `StoreUnavailable`."""
        try:
            await self._attempt(write)
        except (RedisError, OSError, TimeoutError) as error:
            if comes_from_wrong_server(error) or not isinstance(error, ResponseError):
                raise unavailable(cause_of(error)) from None

    def script(self, text: str) -> Callable[..., Awaitable[Any]]:
        """Return the script as a function of keys and arguments."""
        script = self._redis.register_script(text)

        async def call(keys: list[str], arguments: list[Any]) -> Any:
            async def attempt(redis: Redis) -> Any:
                try:
                    return await script(keys=keys, args=arguments, client=redis)
                except ResponseError as error:
                    if not is_of_wrong_type(error):
                        raise
                await mend(redis, keys, self.observer)
                return await script(keys=keys, args=arguments, client=redis)

            return await self.run(attempt)

        return call

    @asynccontextmanager
    async def subscription(self, channel: str) -> AsyncIterator[Subscription]:
        """Open a separate connection that is subscribed to the channel. Raises `StoreUnavailable`."""
        pubsub = self._redis.pubsub()
        subscription = Subscription(pubsub)
        self._subscriptions.add(subscription)
        try:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await pubsub.subscribe(channel)
                    # Wait for Redis to confirm: messages published before that would be missed.
                    await pubsub.get_message(timeout=None)
            except (RedisError, OSError, TimeoutError) as error:
                raise unavailable(cause_of(error)) from None
            self._answers()
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def seconds(self) -> float:
        """Return the time of Redis, in seconds since 1970, as it is now. Raises `StoreUnavailable`."""
        began = time.monotonic()
        seconds, micros = await self.run(lambda redis: redis.time())
        return float(seconds) + float(micros) / 1e6 + (time.monotonic() - began) / 2

    async def aclose(self) -> None:
        """Close every connection."""
        await asyncio.gather(*self._retiring)
        await self._redis.aclose()
        await self._redis.connection_pool.aclose()

    async def _attempt(self, command: Callable[[Redis], Awaitable[Answer]]) -> Answer:
        """Return the command's answer; the wait for a free connection does not count against Redis."""
        self._refuse_while_down()
        async with self._slots:
            # Another caller may have found Redis down meanwhile.
            self._refuse_while_down()
            return await self._exchange(command)

    def _refuse_while_down(self) -> None:
        if time.monotonic() < self._down_until:
            raise unavailable(f"{self._cause} (a moment ago)")

    async def _exchange(self, command: Callable[[Redis], Awaitable[Answer]]) -> Answer:
        """Return the command's answer, and record whether Redis is up and the right server."""
        trying_again = self._failed
        if trying_again:
            # One caller finds out whether it is back; the others do not wait for that.
            self._down_until = time.monotonic() + ANSWER_SECONDS
        redis = self._redis
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await command(redis)
        except ResponseError as error:
            # Redis is up: an error reply to one command says nothing about the others.
            self._answers()
            self._reconnect_if_wrong(redis, error)
            raise
        except (RedisError, OSError, TimeoutError) as error:
            self._failed = True
            self._cause = cause_of(error)
            self._down_until = time.monotonic() + LEFT_ALONE_SECONDS
            self._reconnect_if_wrong(redis, error)
            raise
        except asyncio.CancelledError:
            if trying_again:
                self._down_until = 0.0
            raise
        self._answers()
        return answer

    def _answers(self) -> None:
        self._failed = False
        self._down_until = 0.0

    def _reconnect_if_wrong(self, redis: Redis, error: Exception) -> None:
        """Reconnect, unless that happened since the command was sent, or a moment ago."""
        if not comes_from_wrong_server(error) or redis is not self._redis:
            return
        if time.monotonic() < self._reconnect_after:
            return
        self._reconnect_after = time.monotonic() + RECONNECT_SECONDS
        self._redis = self._connect()
        for subscription in self._subscriptions:
            subscription.end(cause_of(error))
        retiring = asyncio.create_task(_retire(redis))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)


@asynccontextmanager
async def connect_redis(url: str, observer: Observer | None = None) -> AsyncIterator[RedisClient]:
    """Open a pool for `redis://` or `rediss://` (TLS; user and password of an ACL in the URL).

    Raises `StoreUnavailable` at the first command, not here.
    """
    client = RedisClient(lambda: _open(url), observer)
    try:
        yield client
    finally:
        await client.aclose()


def milliseconds(duration: timedelta) -> int:
    """Return a duration in whole milliseconds, at least one."""
    return max(1, int(duration.total_seconds() * 1000))


def epoch_milliseconds(moment: datetime) -> int:
    """Return a moment in whole milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def unavailable(why: str) -> StoreUnavailable:
    """Return the error for a Redis that failed, hung or refused."""
    return StoreUnavailable(f"Redis is not available: {why}", timedelta(seconds=LEFT_ALONE_SECONDS * 2))


def _open(url: str) -> Redis:
    pool = BlockingConnectionPool.from_url(
        url,
        socket_timeout=None,  # each command has its own, in `run`; a subscription waits for ever
        socket_connect_timeout=ANSWER_SECONDS,
        socket_keepalive=True,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        max_connections=CONNECTIONS,
        timeout=ANSWER_SECONDS,
    )
    return Redis(connection_pool=pool)


async def _retire(redis: Redis) -> None:
    """Close the connections: the idle ones now, those in use once their command is answered."""
    with suppress(RedisError, OSError):
        await redis.connection_pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
        await redis.connection_pool.disconnect(inuse_connections=False)
