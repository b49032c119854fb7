"""Sentinels that know the primary: each new connection asks them."""

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis, Sentinel
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import RedisError

from broker.adapters.redis.servers import port
from broker.adapters.redis.servers.connecting import encryption, options
from broker.adapters.redis.servers.port import Server
from broker.adapters.redis.servers.standalone import Standalone
from broker.domain.stores.redis_address import Host, Login, Logins, RedisAddress, Topology


class Sentinels(Standalone):
    """See `Servers`: one primary, like a standalone server, that others name."""

    topology = Topology.SENTINEL

    def __init__(self, address: RedisAddress, logins: Logins) -> None:
        super().__init__(address, logins)
        self._sentinel = self._asking(lambda: logins.sentinels)
        if logins.sentinels == logins.servers:
            # Sentinels seldom have users, even where servers do: then they are asked without.
            self._sentinel.sentinels += self._asking(Login).sentinels

    def open(self, before: Redis | None = None) -> Redis:
        """See `Servers.open`."""
        del before
        redis: Redis = self._sentinel.master_for(
            self._address.primary_name,
            db=self._address.database,
            **options(lambda: self._logins.servers, connect_within=port.ANSWER_SECONDS / 3),
            **encryption(self._address),
        )
        return redis

    async def prepare(self, redis: Redis) -> None:
        """See `Servers.prepare`."""
        pool = _pool(redis)
        if not pool.master_address:
            await pool.get_master_address()  # type: ignore[no-untyped-call]

    async def close(self, redis: Redis) -> None:
        """See `Servers.close`."""
        await super().close(redis)
        await self._sentinel.aclose()

    def primaries(self, redis: Redis) -> Sequence[tuple[str, Server]]:
        """See `Servers.primaries`."""
        known = _pool(redis).master_address
        return [(str(Host(*known)) if known else "", redis)]

    async def primary(self, redis: Redis, key: str) -> str:
        """See `Servers.primary`: one that was cut off does not know that it is none."""
        del key
        pool = _pool(redis)
        try:
            # It closes idle connections to another server.
            found = await pool.get_master_address()  # type: ignore[no-untyped-call]
            return str(Host(*found))
        except (RedisError, OSError):
            return str(Host(*pool.master_address)) if pool.master_address else ""

    def _asking(self, login: Any) -> Sentinel:  # noqa: ANN401 - a Login's constructor is one, too
        # The next one is asked within the time of the same command.
        each = port.ANSWER_SECONDS / 5
        asked = {
            **options(login, connect_within=each),
            "socket_timeout": each,
            **encryption(self._address),
        }
        return Sentinel(list(self._address.hosts), sentinel_kwargs=asked)  # type: ignore[no-untyped-call]


def _pool(redis: Redis) -> SentinelConnectionPool:
    return cast("SentinelConnectionPool", redis.connection_pool)
