"""What the commands of a Cluster are: asked of its members once for each set of connections."""

import asyncio
from collections.abc import Sequence

from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import RedisError

from broker.adapters.redis.servers import port


class CommandsOfAnyPrimary:
    """Ask one primary after the other.

    redis-py asks the first alone, and sends no command, to any member, while that one is away.
    """

    def __init__(self, cluster: RedisCluster) -> None:
        self._cluster = cluster
        self._parser = cluster.commands_parser

    async def initialize(self, node: ClusterNode | None = None) -> None:
        """Learn the commands. Raises the error of the last primary if none answers."""
        del node
        *others, last = self._cluster.get_primaries()
        for one in others:
            try:
                # One that hangs must leave the others time: a command gives up after a second.
                async with asyncio.timeout(port.ANSWER_SECONDS / 3):
                    return await self._parser.initialize(one)
            except (RedisError, OSError):
                continue
        return await self._parser.initialize(last)

    async def get_keys(self, *command: object) -> Sequence[str] | None:
        """Return the keys that a command names."""
        found: Sequence[str] | None = await self._parser.get_keys(*command)
        return found
