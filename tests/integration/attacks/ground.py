"""What is attacked: a broker with two callers, its store and WeCom; its twin; and those who call.

`make test` has no twin: latencies are not judged there.
"""

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from broker.domain.access import Action
from broker.simulator.demo import CALLBACK_KEYS, PARENT, SECRET
from tests.integration.attacks.attacker import be_attacker
from tests.integration.attacks.neighbour import be_neighbour
from tests.integration.attacks.place import ATTACKER, CHILDREN, NEIGHBOUR, VICTIMS, Place, bearer
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import APP, SimulatorProcess, configuration
from tests.kit.processes.redis_server import RedisServer

STRICT = bool(os.environ.get("STRICT"))
"""Whether latencies are judged."""
ANSWERED_WITHIN_SECONDS = 90.0


@dataclass(frozen=True)
class Ground:
    """What runs, for the test."""

    place: Place
    broker: BrokerProcess
    twin: BrokerProcess
    """A broker that nobody attacks; without one the attacked broker."""
    wecom: SimulatorProcess
    neighbour: Connection
    attacker: Connection

    def lines(self) -> list[str]:
        """Return the lines that the attacked broker has logged, but for one for each fetched token."""
        return [
            line for line in self.broker.log.read_text().splitlines() if '"event": "refreshed"' not in line
        ]


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
        twin = launched("twin", f"sqlite:///{folder}/twin.db") if STRICT else broker
        place = Place(broker.address, twin.address, broker.http_port, redis.port)
        wecom.await_ready()
        for process in (broker, twin):
            process.await_ready()
        pipes = stack.enter_context(called_by_both(place))
        yield Ground(place, broker, twin, wecom, *pipes)


@contextmanager
def called_by_both(place: Place) -> Iterator[tuple[Connection, Connection]]:
    """Run the neighbour and the attacker inside the block, and yield the pipes to them."""
    with _process(be_neighbour, place) as neighbour, _process(be_attacker, place) as attacker:
        for pipe in (neighbour, attacker):
            assert "ready" == answer_from(pipe)
        yield neighbour, attacker


def answer_from(pipe: Connection) -> object:
    """Return what the process at the other end says next."""
    assert pipe.poll(ANSWERED_WITHIN_SECONDS), "a process of the trial does not answer"
    return pipe.recv()


@contextmanager
def _process(target: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """Run it in a process inside the block, and yield the pipe to it."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.kill()
        process.join()


def _caller(name: str) -> dict[str, Any]:
    everything = {
        "apps": ["*"],
        "corps": ["*"],
        "actions": [action.value for action in Action],
        "paths": ["*"],
    }
    digest = hashlib.sha256(bearer(name).encode()).hexdigest()
    return {"name": name, "token_sha256": digest, "allow": [everything]}
