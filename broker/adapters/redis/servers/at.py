"""Which servers an address means."""

from broker.adapters.redis.servers.cluster import Cluster
from broker.adapters.redis.servers.port import Servers
from broker.adapters.redis.servers.sentinel import Sentinels
from broker.adapters.redis.servers.standalone import Standalone
from broker.domain.stores.redis_address import Logins, RedisAddress, Topology


def servers_at(address: RedisAddress, logins: Logins) -> Servers:
    """Return them; nothing connects yet."""
    match address.topology:
        case Topology.SENTINEL:
            return Sentinels(address, logins)
        case Topology.CLUSTER:
            return Cluster(address, logins)
        case _:
            return Standalone(address, logins)
