"""The faults: what each breaks, for how long, how it is mended, and what the rules allow meanwhile."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.chaos.world import BROKERS, Needs, World
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import ClusterSet, SentinelSet, ask

Mend = Callable[[], None]


@dataclass(frozen=True)
class Fault:
    """One row of the matrix."""

    name: str
    needs: Needs
    begin: Callable[[World, random.Random], Mend]
    """Break something, which chance may choose; return what mends it."""
    seconds: float
    """How long it stays broken."""
    fetches: int = 1
    """How many replicas may fetch one credential: one, or each that has lost the store (engine rule 10)."""
    heals: bool = False
    """Whether it is over before it is mended: brokers are to be coherent so long after it began."""

    @property
    def hits_store(self) -> bool:
        """Return whether brokers are to notice that the store is slow."""
        return self.fetches > 1


def kill_broker(world: World, chance: random.Random) -> Mend:
    victim = chance.choice(world.brokers)
    victim.kill()
    return victim.launch


def kill_primary(world: World, chance: random.Random) -> Mend:
    assert isinstance(world.store, SentinelSet | ClusterSet)
    victim = chance.choice(_primaries(world.store))
    victim.kill()
    return victim.start


def _primaries(store: SentinelSet | ClusterSet) -> list[RedisServer]:
    roles = {server: ask(server.port, "INFO", "replication")["role"] for server in store.servers}
    return [server for server, role in roles.items() if role == "master"]


_each = partial(Fault, fetches=BROKERS)

FAULTS = {
    fault.name: fault
    for fault in (
        Fault("broker SIGKILL", Needs.REDIS, kill_broker, 5),
        _each("primary SIGKILL, Sentinel", Needs.SENTINEL, kill_primary, 6, heals=True),
        _each("primary SIGKILL, Cluster", Needs.CLUSTER, kill_primary, 6, heals=True),
    )
}
