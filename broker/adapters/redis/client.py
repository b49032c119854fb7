"""A store in Redis, reached through pools: fails fast, and is left alone for a moment after a failure."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from broker.adapters.redis.call import Call, evaluate
from broker.adapters.redis.lua import name_of
from broker.adapters.redis.mending import mend
from broker.adapters.redis.replies import cause_of, comes_from_wrong_server, is_of_wrong_type
from broker.adapters.redis.servers import port
from broker.adapters.redis.servers.at import servers_at
from broker.adapters.redis.servers.breaker import Breaker, unavailable
from broker.adapters.redis.servers.port import CONNECTIONS, Server, Servers
from broker.adapters.redis.subscription import Subscription
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Observer
from broker.domain.ports.tracer import NO_TRACER, Tracer
from broker.domain.stores.redis_address import Logins, RedisAddress

RECONNECT_SECONDS = 1.0
"""The least time between two reconnects of all pools, while the address leads to a wrong server."""
FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)

Answer = TypeVar("Answer")


class RedisClient:
    """Run commands; raise `StoreUnavailable` when Redis fails, hangs or refuses.

    A reply that says "this is not the server you want" ends all connections, subscriptions
    included: new ones resolve the address again, which leads to another server after a failover.
    So does a server that does not answer, except for the subscription, which finds that out by itself.
    """

    def __init__(
        self, servers: Servers, observer: Observer | None = None, tracer: Tracer = NO_TRACER
    ) -> None:
        self.servers = servers
        self.observer = observer
        self.tracer = tracer
        self._redis = servers.open()
        self._breakers: defaultdict[str, Breaker] = defaultdict(Breaker)
        self._reconnect_after = 0.0
        self._subscriptions: set[Subscription] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(CONNECTIONS - 1)

    async def run(self, command: Callable[[Redis], Awaitable[Answer]], key: str = "") -> Answer:
        """Return the command's answer; all its keys are in the slot of `key`. Raises `StoreUnavailable`."""
        try:
            return await self._attempt(command, key)
        except FAILURES as error:
            raise unavailable(cause_of(error)) from None

    def shard(self, key: str) -> str:
        """Return a name for the server that has the key, as far as it is known."""
        return self.servers.shard(self._redis, key) or ""

    async def by_server(self, keys: Sequence[str]) -> Mapping[str | None, Sequence[int]]:
        """Return the places of the keys, by the server that has them. Raises `StoreUnavailable`.

        Members of a cluster are asked who has which keys if that is not known, as after a reconnect.
        """
        parts = self._by_server(keys)
        if None in parts:
            await self.primaries()
            parts = self._by_server(keys)
        return parts

    def _by_server(self, keys: Sequence[str]) -> Mapping[str | None, Sequence[int]]:
        parts: defaultdict[str | None, list[int]] = defaultdict(list)
        for place, key in enumerate(keys):
            parts[self.servers.shard(self._redis, key)].append(place)
        return parts

    async def run_each(
        self, keys: Sequence[str], command: Callable[[Redis, Sequence[str]], Awaitable[Sequence[Answer]]]
    ) -> Mapping[str, Answer]:
        """Return an answer for each key; the command gets those that one server has.

        Raises `StoreUnavailable`.
        """

        async def run(places: Sequence[int]) -> Mapping[str, Answer]:
            part = [keys[place] for place in places]
            answers = await self.run(lambda redis: command(redis, part), part[0])
            return dict(zip(part, answers, strict=True))

        found = await asyncio.gather(*map(run, (await self.by_server(keys)).values()))
        return {key: answer for answers in found for key, answer in answers.items()}

    async def ask(self, key: str, *words: Any) -> Any:
        """Return the answer of the server that has the key. Raises `StoreUnavailable`."""
        return await self.run(lambda redis: self.servers.server(redis, key).execute_command(*words), key)

    async def primaries(self) -> Sequence[tuple[str, Server]]:
        """Return the servers that take writes, each with its address. Raises `StoreUnavailable`."""
        return await self.run(self._known)

    async def _known(self, redis: Redis) -> Sequence[tuple[str, Server]]:
        return self.servers.primaries(redis)

    async def prove(self, key: str) -> None:
        """Return if the server is the right one, even if it refuses to delete the key.

        Raises `StoreUnavailable`.
        """
        try:
            await self._attempt(lambda redis: redis.delete(key), key)
        except FAILURES as error:
            if comes_from_wrong_server(error) or not isinstance(error, ResponseError):
                raise unavailable(cause_of(error)) from None

    def script(self, text: str) -> Callable[..., Awaitable[Any]]:
        """Return the script as a function of keys and arguments."""
        name = name_of(text)

        async def run(keys: list[str], arguments: list[Any]) -> Any:
            call = Call(text, keys, arguments)

            async def attempt(redis: Redis) -> Any:
                try:
                    return await evaluate(redis, self.servers, call)
                except ResponseError as error:
                    if not is_of_wrong_type(error):
                        raise
                await mend(redis, self.servers, keys, self.observer)
                return await evaluate(redis, self.servers, call)

            with self.tracer.store_script(name):
                return await self.run(attempt, keys[0] if keys else "")

        return run

    @asynccontextmanager
    async def subscription(self, channel: str, key: str) -> AsyncIterator[Subscription]:
        """Subscribe to the channel, on a connection of its own to the server that has the key.

        Raises `StoreUnavailable`.
        """
        servers, commands, redis = self.servers, self._redis, None
        try:
            try:
                async with asyncio.timeout(port.ANSWER_SECONDS):
                    redis = await servers.subscriber(commands, key)
                    pubsub = redis.pubsub()
                    await pubsub.subscribe(channel)
                    # Wait for Redis to confirm: messages published before that would be missed.
                    await pubsub.get_message(timeout=None)
                    at = await servers.primary(commands, key)
            except FAILURES as error:
                self._reconnect(commands, "")
                raise unavailable(cause_of(error)) from None

            async def is_current() -> bool:
                try:
                    return at == await self.run(lambda redis: servers.primary(redis, key), key)
                except StoreUnavailable:
                    return True  # nobody knows a better one

            subscription = Subscription(pubsub, is_current)
            self._subscriptions.add(subscription)
            try:
                self._breakers[self.shard(key)].answered()
                yield subscription
            finally:
                self._subscriptions.discard(subscription)
        finally:
            if redis:
                await pubsub.aclose()  # type: ignore[no-untyped-call]
                await redis.aclose(close_connection_pool=True)

    async def seconds(self, key: str = "") -> float:
        """Return the time of Redis, in seconds since 1970, as it is now. Raises `StoreUnavailable`."""
        began = time.monotonic()
        seconds, micros = await self.ask(key, "TIME")
        return float(seconds) + float(micros) / 1e6 + (time.monotonic() - began) / 2

    async def aclose(self) -> None:
        """Close every connection."""
        await asyncio.gather(*self._retiring)
        await self.servers.close(self._redis)

    async def _attempt(self, command: Callable[[Redis], Awaitable[Answer]], key: str) -> Answer:
        """Return the command's answer; the wait for a free connection does not count against Redis."""
        self._breakers[self.shard(key)].refuse_while_down()
        async with self._slots:
            redis = self._redis
            if self.servers.shard(redis, key) is None:
                # Any member can tell. If none does, that is no failure of the one that has the key.
                await self._exchange(redis, self._known, self._breakers[""])
            return await self._exchange(redis, command, self._breakers[self.servers.shard(redis, key) or ""])

    async def _exchange(
        self, redis: Redis, command: Callable[[Redis], Awaitable[Answer]], breaker: Breaker
    ) -> Answer:
        """Return the command's answer, and record whether the server is up and the right one."""
        # Another caller may have found it down meanwhile.
        breaker.refuse_while_down()
        trying_again = breaker.begin()
        try:
            async with asyncio.timeout(port.ANSWER_SECONDS):
                await self.servers.prepare(redis)
                answer = await command(redis)
        except ResponseError as error:
            # Redis is up: an error reply to one command says nothing about the others.
            breaker.answered()
            if comes_from_wrong_server(error):
                self._reconnect(redis, cause_of(error))
            raise
        except FAILURES as error:
            breaker.failed(cause_of(error))
            # Servers may have changed their roles, or the address its meaning.
            self._reconnect(redis, cause_of(error) if comes_from_wrong_server(error) else "")
            raise
        except asyncio.CancelledError:
            if trying_again:
                breaker.given_up()
            raise
        breaker.answered()
        return answer

    def _reconnect(self, redis: Redis, wrong: str) -> None:
        """Reconnect, unless that happened since the command was sent, or a moment ago."""
        if redis is not self._redis or time.monotonic() < self._reconnect_after:
            return
        self._reconnect_after = time.monotonic() + RECONNECT_SECONDS
        self._redis = self.servers.open(redis)
        if wrong:
            for subscription in self._subscriptions:
                subscription.end(wrong)
        retiring = asyncio.create_task(self.servers.retire(redis))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)


@asynccontextmanager
async def connect_redis(
    address: RedisAddress, logins: Logins, observer: Observer | None = None, tracer: Tracer = NO_TRACER
) -> AsyncIterator[RedisClient]:
    """Open the pools. Raises `StoreUnavailable` at the first command, not here."""
    client = RedisClient(servers_at(address, logins), observer, tracer)
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
