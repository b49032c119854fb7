"""The faults: what each breaks, for how long, how it is mended, and what the rules allow meanwhile."""

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

from tests.chaos.world import BROKERS, Needs, World
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import ClusterSet, SentinelSet, ask

Mend = Callable[[], None]
OPEN_CALLS = 20
"""How many calls to WeCom end with their connections, when the names are gone: so many are kept open."""


class Vain(Enum):
    """Why WeCom is asked for what nobody gets."""

    NONE = "it is not"
    HANDED_OVER = "a broker dies while it fetches"
    OUTAGE = "WeCom does not answer"
    DEAD_TOKENS = "WeCom says that tokens are dead"


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
    vain: Vain = Vain.NONE
    """What is asked of WeCom beyond that."""
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


def stop_broker(world: World, chance: random.Random) -> Mend:
    victim = chance.choice(world.brokers)
    victim.send(signal.SIGSTOP)
    return partial(victim.send, signal.SIGCONT)


def kill_primary(world: World, chance: random.Random) -> Mend:
    assert isinstance(world.store, SentinelSet | ClusterSet)
    victim = chance.choice(_primaries(world.store))
    victim.kill()
    return victim.start


def _primaries(store: SentinelSet | ClusterSet) -> list[RedisServer]:
    roles = {server: ask(server.port, "INFO", "replication")["role"] for server in store.servers}
    return [server for server, role in roles.items() if role == "master"]


def stop_redis(world: World, chance: random.Random) -> Mend:
    world.redis.pause()
    return world.redis.resume


def empty_redis(world: World, chance: random.Random) -> Mend:
    world.redis.kill()
    world.lose_data()
    return world.redis.start


def cut_link(world: World, chance: random.Random) -> Mend:
    victim = chance.choice(world.links)
    victim.cut()
    return victim.mend


def slow_links(world: World, chance: random.Random) -> Mend:
    for link in world.links:
        link.delay(0.5)

    def mend() -> None:
        for link in world.links:
            link.mend()

    return mend


def wecom_down(world: World, chance: random.Random) -> Mend:
    world.wecom.fault("reset")
    return world.wecom.mend


def wecom_slow(world: World, chance: random.Random) -> Mend:
    world.wecom.fault("delay", seconds=3)
    return world.wecom.mend


def wecom_refuses_tokens(world: World, chance: random.Random) -> Mend:
    world.wecom.fault("errcode", errcode=40014, share=0.5, seed=chance.randrange(1000))
    return world.wecom.mend


def forget_names(world: World, chance: random.Random) -> Mend:
    assert world.names
    world.names.forget()
    world.wecom.fault("reset", times=OPEN_CALLS)
    ask(world.redis.port, "CLIENT KILL", "TYPE", "normal")
    ask(world.redis.port, "CLIENT KILL", "TYPE", "pubsub")

    def mend() -> None:
        assert world.names
        world.names.tell()
        world.wecom.mend()

    return mend


def fill_disk(world: World, chance: random.Random) -> Mend:
    [broker] = world.brokers
    assert world.disk
    assert broker.process
    world.disk.fill(broker.process.pid)
    return partial(world.disk.clear, broker.process.pid)


def kill_balancer(world: World, chance: random.Random) -> Mend:
    victim = chance.choice(world.balancers)
    victim.kill()
    return victim.start


_each = partial(Fault, fetches=BROKERS)

FAULTS = {
    fault.name: fault
    for fault in (
        Fault("broker SIGKILL", Needs.REDIS, kill_broker, 5, vain=Vain.HANDED_OVER),
        Fault("broker SIGSTOP 20 s", Needs.REDIS, stop_broker, 20, vain=Vain.HANDED_OVER),
        _each("primary SIGKILL, Sentinel", Needs.SENTINEL, kill_primary, 6, heals=True),
        _each("primary SIGKILL, Cluster", Needs.CLUSTER, kill_primary, 6, heals=True),
        _each("Redis SIGSTOP", Needs.REDIS, stop_redis, 6),
        _each("Redis restarted empty", Needs.REDIS, empty_redis, 1),
        _each("Redis cut off from one broker", Needs.LINKS, cut_link, 6),
        _each("Redis slow, 500 ms", Needs.LINKS, slow_links, 8),
        Fault("WeCom down", Needs.REDIS, wecom_down, 8, vain=Vain.OUTAGE),
        Fault("WeCom slow, 3 s", Needs.REDIS, wecom_slow, 8),
        Fault("WeCom: 40014 every other call", Needs.REDIS, wecom_refuses_tokens, 8, vain=Vain.DEAD_TOKENS),
        _each("DNS gone", Needs.NAMES, forget_names, 12, vain=Vain.OUTAGE),
        Fault("disk full under SQLite", Needs.DISK, fill_disk, 6),
        Fault("load balancer SIGKILL", Needs.BALANCERS, kill_balancer, 5),
    )
}
