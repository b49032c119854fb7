"""What the client needs to know of its servers, whichever topology they have."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from redis.asyncio import Redis

from broker.domain.stores.redis_address import Topology

ANSWER_SECONDS = 1.0
"""How long Redis may take to answer: callers wait this long before they are served without it."""
CONNECTIONS = 16
"""To one server, at most."""


class Server(Protocol):
    """One server."""

    async def execute_command(self, *words: Any) -> Any:  # noqa: ANN401 - as each command answers
        """Return its answer, whatever server is responsible for a key."""


class Servers(Protocol):
    """The servers of one store.

    A `Redis` stands for all of them: of a cluster it is a `RedisCluster`, which has the same commands.
    """

    topology: Topology

    def open(self, before: Redis | None = None) -> Redis:
        """Return new connections, each of which resolves names anew; `before` knows servers by now."""

    async def prepare(self, redis: Redis) -> None:
        """Find out which server has which keys, if that is not known."""

    async def retire(self, redis: Redis) -> None:
        """Close connections: the idle ones now, those in use once their command is answered."""

    async def close(self, redis: Redis) -> None:
        """Close every connection."""

    def shard(self, redis: Redis, key: str) -> str | None:
        """Return a name for the server that has the key; "" where there is one, None if it is not known."""

    def server(self, redis: Redis, key: str) -> Server:
        """Return the server that has the key."""

    def target(self, redis: Redis, key: str) -> Mapping[str, Any]:
        """Return what sends a command of a pipeline to the server that has the key."""

    def primaries(self, redis: Redis) -> Sequence[tuple[str, Server]]:
        """Return the servers that take writes, each with its address; only once they are found."""

    async def primary(self, redis: Redis, key: str) -> str:
        """Return which server has the key now, asked anew where somebody knows."""

    async def subscriber(self, redis: Redis, key: str) -> Redis:
        """Return a connection of its own to the server that has the key."""
