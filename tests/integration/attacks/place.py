"""What is attacked: a broker with two callers, its store and WeCom; and its twin, which nobody attacks."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.domain.access import Action
from broker.simulator.demo import CALLBACK_KEYS, PARENT, SECRET
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import APP, SimulatorProcess, configuration
from tests.kit.processes.redis_server import RedisServer

NEIGHBOUR, ATTACKER = "neighbour", "attacker"
CHILDREN, OF_A_TRIAL = 1000, 100
"""Corps whose first token somebody may ask for, and how many of them a trial gets."""
VICTIMS = tuple(f"victim-{number}" for number in range(40))
"""Apps that nobody has asked for yet, for attacks on what is cold."""


@dataclass(frozen=True)
class Place:
    """Where everything is, for the processes that call."""

    address: str
    twin: str
    http_port: int
    redis_port: int


@dataclass(frozen=True)
class Ground:
    """What runs, for the test."""

    place: Place
    broker: BrokerProcess
    twin: BrokerProcess
    wecom: SimulatorProcess
    children: Iterator[int]
    """The number of the first child of each trial."""

    def lines(self) -> int:
        """Return how many lines the attacked broker has logged, but for one for each fetched token."""
        log = self.broker.log.read_bytes()
        return log.count(b"\n") - log.count(b'"event": "refreshed"')


def bearer(caller: str) -> str:
    """Return a caller's token."""
    return f"the-bearer-token-of-the-{caller}"


@contextmanager
def running_ground(folder: Path, **options: Any) -> Iterator[Ground]:
    """Run all of it inside the block; `options` are the attacked broker's process's."""
    with ExitStack() as stack:
        wecom = SimulatorProcess(children=CHILDREN)
        stack.push(wecom.__exit__)
        wecom.launch()
        redis = stack.enter_context(RedisServer(folder / "redis"))
        crm: dict[str, Any] = {
            "name": APP,
            "corp_id": PARENT.corpid,
            "agent_id": PARENT.agentid,
            "secret": SECRET,
        }
        crm["callback"] = {"token": CALLBACK_KEYS.token, "aes_key": CALLBACK_KEYS.encoding_aes_key}
        callers = [_caller(NEIGHBOUR), _caller(ATTACKER)]

        def launched(name: str, store_url: str, **process: Any) -> BrokerProcess:
            audit = {"file": str(folder / f"{name}-audit.jsonl")}
            config = configuration(wecom.url, store_url, (crm, *VICTIMS), callers=callers, audit=audit)
            # Patient: a busy machine's slow Redis would count as gone, and its return costs a listing.
            broker = BrokerProcess(folder / name, config, log_level="info", patient=True, **process)
            stack.push(broker.__exit__)
            broker.launch()
            return broker

        broker = launched("broker", redis.url, **options)
        twin = launched("twin", f"sqlite:///{folder}/twin.db")
        wecom.await_ready()
        for process in (broker, twin):
            process.await_ready()
        place = Place(broker.address, twin.address, broker.http_port, redis.port)
        yield Ground(place, broker, twin, wecom, iter(range(1, CHILDREN, OF_A_TRIAL)))


def _caller(name: str) -> dict[str, Any]:
    everything = {
        "apps": ["*"],
        "corps": ["*"],
        "actions": [action.value for action in Action],
        "paths": ["*"],
    }
    digest = hashlib.sha256(bearer(name).encode()).hexdigest()
    return {"name": name, "token_sha256": digest, "allow": [everything]}
