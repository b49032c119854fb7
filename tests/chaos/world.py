"""What a cell of the matrix happens in: brokers, their store, WeCom, and the addresses that callers know."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN
from tests.chaos.balancing import BalancerProcess, running_balancer
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import APP, SimulatorProcess, configuration
from tests.kit.processes.mounts import Names, SmallDisk, may_mount
from tests.kit.processes.network import Link
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import ClusterSet, SentinelSet
from tests.kit.processes.suites import ACME, MARKET, Console

BROKERS = 3
CHILDREN = 400
INSTALLERS = 60
"""Corps that may install the suite while the load goes on."""
COOLDOWN = 1.0
"""Seconds between two forced fetches of one credential."""
PERSISTENT = ("--appendonly", "yes")
STORE_HOST, WECOM_HOST = "store.test", "wecom.test"

Store = RedisServer | SentinelSet | ClusterSet


class Needs(Enum):
    """What surrounds the brokers."""

    REDIS = "Redis"
    SENTINEL = "Sentinel"
    CLUSTER = "Cluster"
    LINKS = "Redis, over a link of each broker's own"
    NAMES = "Redis and WeCom, by name"
    DISK = "one broker with SQLite on a small disk"
    BALANCERS = "Redis, and two load balancers in front"

    @property
    def lacking(self) -> str:
        """Return what this machine lacks for it, or ""."""
        if self in (Needs.NAMES, Needs.DISK) and not may_mount():
            return "mounting in a namespace of one's own (root, or user namespaces)"
        if self is Needs.BALANCERS and not BalancerProcess.is_here():
            return "haproxy (apt-get install haproxy)"
        return ""


@dataclass(frozen=True)
class Door:
    """Where callers and WeCom reach brokers."""

    grpc: str
    http: str


@dataclass(frozen=True)
class World:
    """The running processes of one cell, and what its fault takes hold of."""

    wecom: SimulatorProcess
    brokers: Sequence[BrokerProcess]
    doors: Sequence[Door]
    console: Console
    folder: Path
    store: Store | None = None
    links: Sequence[Link] = ()
    names: Names | None = None
    disk: SmallDisk | None = None
    balancers: Sequence[BalancerProcess] = ()

    @property
    def redis(self) -> RedisServer:
        """Return the one server of the store."""
        assert isinstance(self.store, RedisServer)
        return self.store

    def lose_data(self) -> None:
        """Remove what a stopped Redis has on disk."""
        shutil.rmtree(self.folder / "store" / "appendonlydir")


@contextmanager
def running(needs: Needs, folder: Path, *, patient: bool) -> Iterator[World]:
    """Run all of it inside the block; `patient` brokers wait long for a store that is only slow."""
    with ExitStack() as stack:
        wecom = SimulatorProcess(children=CHILDREN)
        stack.push(wecom.__exit__)
        wecom.launch()
        store = stack.enter_context(_store(needs, folder / "store"))
        world = World(wecom, (), (), Console(wecom), folder, store)
        if needs is Needs.LINKS:
            links = [stack.enter_context(Link(world.redis.port)) for _ in range(BROKERS)]
            world = replace(world, links=links)
        elif needs is Needs.NAMES:
            world = replace(world, names=Names(folder / "names", STORE_HOST, WECOM_HOST))
        elif needs is Needs.DISK:
            world = replace(world, disk=SmallDisk(folder / "disk"))
        world = replace(
            world, brokers=[_broker(world, number, patient=patient) for number in _numbers(world)]
        )
        for broker in world.brokers:
            stack.push(broker.__exit__)
            broker.launch()
        wecom.await_ready()
        for broker in world.brokers:
            broker.await_ready()
        doors = [Door(broker.address, f"http://127.0.0.1:{broker.http_port}") for broker in world.brokers]
        if needs is Needs.BALANCERS:
            balancers = [
                stack.enter_context(running_balancer(world.brokers, folder / f"balancer-{number}"))
                for number in range(2)
            ]
            doors = [Door(balancer.ports.grpc, balancer.ports.http) for balancer in balancers]
            world = replace(world, balancers=balancers)
        world.console.open(INSTALLERS)
        yield replace(world, doors=doors)


def _numbers(world: World) -> range:
    """SQLite serves one process."""
    return range(1 if world.disk else BROKERS)


def _broker(world: World, number: int, *, patient: bool) -> BrokerProcess:
    config = configuration(
        _by_name(world, world.wecom.url, WECOM_HOST),
        _store_url(world, number),
        (APP, MARKET),
        app={"callback": {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}},
        providers=[ACME],
        store={"replicas_acknowledge": 1 if isinstance(world.store, SentinelSet | ClusterSet) else 0},
        wecom={"timeout_seconds": 5},
        refresh={"cooldown_seconds": COOLDOWN},
    )
    mounted: Any = world.names or world.disk
    return BrokerProcess(
        world.folder / f"broker-{number}",
        config,
        log_level="info",
        patient=patient,
        within=mounted.within if mounted else (),
        forked=not mounted,
    )


def _store_url(world: World, number: int) -> str:
    if world.disk:
        return f"sqlite:///{world.disk.folder}/broker.db"
    if world.links:
        return f"redis://127.0.0.1:{world.links[number].port}/0"
    assert world.store
    return _by_name(world, world.store.url, STORE_HOST)


def _by_name(world: World, url: str, name: str) -> str:
    return url.replace("127.0.0.1", name) if world.names else url


@contextmanager
def _store(needs: Needs, folder: Path) -> Iterator[Store | None]:
    match needs:
        case Needs.SENTINEL:
            with SentinelSet(folder, *PERSISTENT, replicas=2) as sentinels:
                yield sentinels
        case Needs.CLUSTER:
            with ClusterSet(folder, *PERSISTENT, replicas=3) as cluster:
                yield cluster
        case Needs.DISK:
            yield None
        case _:
            with RedisServer(folder, append_only=True) as redis:
                yield redis
