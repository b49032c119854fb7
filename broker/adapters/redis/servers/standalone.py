"""One address that leads to the primary."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.exceptions import RedisError

from broker.adapters.redis.servers import port
from broker.adapters.redis.servers.connecting import options
from broker.adapters.redis.servers.port import CONNECTIONS, Server
from broker.domain.stores.redis_address import Logins, RedisAddress, Topology


class Standalone:
    """See `Servers`."""

    topology = Topology.STANDALONE

    def __init__(self, address: RedisAddress, logins: Logins) -> None:
        self._address = address
        self._logins = logins

    def open(self, before: Redis | None = None) -> Redis:
        """See `Servers.open`."""
        del before
        [host] = self._address.hosts
        pool = BlockingConnectionPool(
            host=host.name,
            port=host.port,
            db=self._address.database,
            max_connections=CONNECTIONS,
            timeout=port.ANSWER_SECONDS,
            **options(lambda: self._logins.servers, connect_within=port.ANSWER_SECONDS),
            **_encryption(self._address),
        )
        return Redis(connection_pool=pool)

    async def prepare(self, redis: Redis) -> None:
        """See `Servers.prepare`."""

    async def retire(self, redis: Redis) -> None:
        """See `Servers.retire`."""
        with suppress(RedisError, OSError):
            await redis.connection_pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
            await redis.connection_pool.disconnect(inuse_connections=False)

    async def close(self, redis: Redis) -> None:
        """See `Servers.close`."""
        await redis.aclose()
        await redis.connection_pool.aclose()

    def shard(self, redis: Redis, key: str) -> str | None:
        """See `Servers.shard`."""
        del redis, key
        return ""

    def server(self, redis: Redis, key: str) -> Server:
        """See `Servers.server`."""
        del key
        return redis

    def target(self, redis: Redis, key: str) -> Mapping[str, Any]:
        """See `Servers.target`."""
        del redis, key
        return {}

    def primaries(self, redis: Redis) -> Sequence[tuple[str, Server]]:
        """See `Servers.primaries`."""
        return [(str(self._address.hosts[0]), redis)]

    async def primary(self, redis: Redis, key: str) -> str:
        """See `Servers.primary`: nobody knows better than the address."""
        del redis, key
        return ""

    async def subscriber(self, redis: Redis, key: str) -> Redis:
        """See `Servers.subscriber`."""
        del redis, key
        return self.open()


def _encryption(address: RedisAddress) -> dict[str, Any]:
    return {} if address.tls is None else {"connection_class": SSLConnection, **address.tls}
