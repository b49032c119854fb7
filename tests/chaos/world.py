"""What a cell of the matrix happens in: brokers, their store, WeCom, and the addresses that callers know."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import APP, SimulatorProcess, configuration
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import ClusterSet, SentinelSet
from tests.kit.processes.suites import ACME, MARKET, Console

BROKERS = 3
CHILDREN = 400
INSTALLERS = 60
"""Corps that may install the suite while the load goes on."""

PERSISTENT = ("--appendonly", "yes")

Store = RedisServer | SentinelSet | ClusterSet


class Needs(Enum):
    """What surrounds the brokers."""

    REDIS = "Redis"
    SENTINEL = "Sentinel"
    CLUSTER = "Cluster"


@dataclass(frozen=True)
class Door:
    """Where callers and WeCom reach brokers."""

    grpc: str
    http: str


@dataclass(frozen=True)
class World:
    """The running processes of one cell."""

    wecom: SimulatorProcess
    store: Store
    brokers: Sequence[BrokerProcess]
    doors: Sequence[Door]
    console: Console


@contextmanager
def running(needs: Needs, folder: Path, *, patient: bool) -> Iterator[World]:
    """Run all of it inside the block; `patient` brokers wait long for a store that is only slow."""
    with ExitStack() as stack:
        wecom = SimulatorProcess(children=CHILDREN)
        stack.push(wecom.__exit__)
        wecom.launch()
        store = stack.enter_context(_store(needs, folder / "store"))
        config = configuration(
            wecom.url,
            store.url,
            (APP, MARKET),
            app={"callback": {"token": CALLBACK_TOKEN, "aes_key": CALLBACK_AES_KEY}},
            providers=[ACME],
            store={"replicas_acknowledge": 0 if needs is Needs.REDIS else 1},
            wecom={"timeout_seconds": 5},
            refresh={"cooldown_seconds": 1},
        )
        brokers = [
            BrokerProcess(folder / f"broker-{number}", config, log_level="info", patient=patient)
            for number in range(BROKERS)
        ]
        for broker in brokers:
            stack.push(broker.__exit__)
            broker.launch()
        wecom.await_ready()
        for broker in brokers:
            broker.await_ready()
        doors = [Door(broker.address, f"http://127.0.0.1:{broker.http_port}") for broker in brokers]
        console = Console(wecom)
        console.open(INSTALLERS)
        yield World(wecom, store, brokers, doors, console)


@contextmanager
def _store(needs: Needs, folder: Path) -> Iterator[Store]:
    match needs:
        case Needs.SENTINEL:
            with SentinelSet(folder, *PERSISTENT, replicas=2) as sentinels:
                yield sentinels
        case Needs.CLUSTER:
            with ClusterSet(folder, *PERSISTENT, replicas=3) as cluster:
                yield cluster
        case Needs.REDIS:
            with RedisServer(folder, append_only=True) as redis:
                yield redis
