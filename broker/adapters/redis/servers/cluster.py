"""The members of a Redis Cluster: each primary has some of the slots that keys hash to."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import RedisError, SlotNotCoveredError

from broker.adapters.redis.servers import port
from broker.adapters.redis.servers.commands import CommandsOfAnyPrimary
from broker.adapters.redis.servers.connecting import encryption, options
from broker.adapters.redis.servers.port import CONNECTIONS, Server
from broker.adapters.redis.servers.standalone import Standalone
from broker.domain.stores.redis_address import Host, Logins, RedisAddress, Topology

UNCOVERED = "no member of the cluster has the slot of a key"


class Cluster:
    """See `Servers`. MOVED and ASK are followed by redis-py, which learns from them."""

    topology = Topology.CLUSTER

    def __init__(self, address: RedisAddress, logins: Logins) -> None:
        self._address = address
        self._logins = logins
        self._retired: Redis | None = None

    def open(self, before: Redis | None = None) -> Redis:
        """See `Servers.open`."""
        # The configured members may be gone, and so may those that were found: either leads to the others.
        known = [Host(node.host, int(node.port)) for node in _cluster(before).get_nodes()] if before else []
        members = list(dict.fromkeys([*self._address.hosts, *known]))
        cluster = RedisCluster(
            startup_nodes=[ClusterNode(host.name, host.port) for host in members],
            max_connections=CONNECTIONS,
            **options(lambda: self._logins.servers, connect_within=port.ANSWER_SECONDS / 3),
            **encryption(self._address),
        )
        cluster.commands_parser = cast("Any", CommandsOfAnyPrimary(cluster))
        return cast("Redis", cluster)  # it has all commands that are used here

    async def prepare(self, redis: Redis) -> None:
        """See `Servers.prepare`."""
        await _cluster(redis).initialize()

    async def retire(self, redis: Redis) -> None:
        """See `Servers.retire`."""
        for node in _nodes(redis):
            node.update_active_connections_for_reconnect()
            with suppress(RedisError, OSError):
                await node.disconnect_free_connections()
        # Those in use answer in less time than goes by until the next reconnect.
        if before := self._retired:
            await self._close(before)
        self._retired = redis

    async def close(self, redis: Redis) -> None:
        """See `Servers.close`."""
        for one in filter(None, (redis, self._retired)):
            await self._close(one)

    @staticmethod
    async def _close(redis: Redis) -> None:
        await _cluster(redis).aclose()
        # That leaves connections open after a failure.
        for node in _nodes(redis):
            with suppress(RedisError, OSError):
                await node.disconnect()

    def shard(self, redis: Redis, key: str) -> str | None:
        """See `Servers.shard`; what has no key concerns no single member."""
        if not key:
            return ""
        node = self._node(redis, key)
        return str(node.name) if node else None

    def server(self, redis: Redis, key: str) -> Server:
        """See `Servers.server`."""
        if node := self._node(redis, key):
            return node
        raise SlotNotCoveredError(UNCOVERED)

    def target(self, redis: Redis, key: str) -> Mapping[str, Any]:
        """See `Servers.target`."""
        return {"target_nodes": self.server(redis, key)}

    def primaries(self, redis: Redis) -> Sequence[tuple[str, Server]]:
        """See `Servers.primaries`."""
        return [(str(node.name), node) for node in _cluster(redis).get_primaries()]

    async def primary(self, redis: Redis, key: str) -> str:
        """See `Servers.primary`: a member that lost its slots, or the others, says so."""
        await redis.get(key)
        return self.shard(redis, key) or ""

    async def subscriber(self, redis: Redis, key: str) -> Redis:
        """See `Servers.subscriber`: what is published at any member reaches it."""
        await self.prepare(redis)
        node = self._node(redis, key)
        if node is None:
            raise SlotNotCoveredError(UNCOVERED)
        here = RedisAddress(Topology.STANDALONE, (Host(node.host, int(node.port)),), tls=self._address.tls)
        return Standalone(here, self._logins).open()

    @staticmethod
    def _node(redis: Redis, key: str) -> ClusterNode | None:
        cluster = _cluster(redis)
        with suppress(RedisError, KeyError):  # redis-py knows no slots yet
            return cluster.nodes_manager.get_node_from_slot(cluster.keyslot(key))
        return None


def _cluster(redis: Redis) -> RedisCluster:
    return cast("RedisCluster", redis)


def _nodes(redis: Redis) -> list[ClusterNode]:
    manager = _cluster(redis).nodes_manager
    nodes = [*manager.nodes_cache.values(), *manager.startup_nodes.values()]
    return list({id(node): node for node in nodes}.values())
