"""The store of a configuration: whether it answers, takes writes, and is sealed with the configured keys."""

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from broker.adapters.redis.store import RedisStore
from broker.adapters.storage.seal import Seal, SealKey
from broker.adapters.storage.trials import FileTrials, StoredTrials
from broker.adapters.system import SystemClock
from broker.app.at_rest.seal_keys import present_keys
from broker.app.errors import CannotStart, StoreTaken
from broker.app.storage import Storage, storage_in
from broker.app.store import Connected, connect
from broker.config.mapping import catalog
from broker.config.schema import Config
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Observer
from broker.domain.ports.trials import Trials
from broker.domain.replica.clocks import Witness
from broker.server.diagnosis.finding import Finding, Level
from broker.usecases.replicas.cures import store_cure

PROBE, PROBED_FOR = "doctor", timedelta(minutes=1)
BESIDE = "doctor"
"""The suffix of the file beside an embedded store in which doctors remember what they tried."""


@dataclass(slots=True)
class FoundStore:
    """What the doctor found, and what it may use of it."""

    findings: list[Finding] = field(default_factory=list)
    storage: Storage | None = None
    trials: Trials | None = None
    """None: nobody knows what was tried, so no secret is."""


async def look_at_store(
    stack: AsyncExitStack, config: Config, clock: SystemClock, observer: Observer
) -> FoundStore:
    """Open the store as a broker does, but make neither a database nor a key; the stack closes it."""
    found = FoundStore()
    subject = f"store {config.store.place}"
    try:
        if not config.store.is_embedded:
            await _shared(await connect(stack, config, clock, observer), config, clock, observer, found)
        elif config.store.path.exists():
            found.trials = FileTrials(_beside(config.store.path))
            await _embedded(await connect(stack, config, clock, observer), config, observer, found)
        else:
            found.findings.append(_new_database(subject, config.store.path))
            if found.findings[0].level is Level.OK:
                found.trials = FileTrials(_beside(config.store.path))
    except StoreTaken as error:
        found.trials = None
        problem = f"{error}: probably by a broker, which knows what it holds"
        remedy = "wecom-broker doctor --address HOST:PORT asks it"
        found.findings.append(Finding(Level.OK, subject, problem, remedy))
    except CannotStart as error:
        found.trials = None
        found.findings.append(_cannot_start(subject, str(error)))
    except StoreUnavailable as error:
        found.trials = None
        found.findings.append(Finding(Level.FAIL, subject, error.message, store_cure(error.message)))
    return found


async def _shared(
    opened: Connected, config: Config, clock: SystemClock, observer: Observer, found: FoundStore
) -> None:
    store = opened.store
    await _prove(opened, config, found)
    keys = await present_keys(store, config)
    if isinstance(store, RedisStore):
        await clock.ask(Witness.STORE, store.seconds)
    seal = Seal(keys)
    found.findings.append(_sealed(keys))
    found.storage = storage_in(store, opened.events, seal, observer, catalog(config).identity)
    found.trials = StoredTrials(store, seal, observer)


async def _embedded(opened: Connected, config: Config, observer: Observer, found: FoundStore) -> None:
    await _prove(opened, config, found)
    if keys := await present_keys(opened.store, config):
        found.findings.append(_sealed(keys))
        identity_of = catalog(config).identity
        found.storage = storage_in(opened.store, opened.events, Seal(keys), observer, identity_of)


async def _prove(opened: Connected, config: Config, found: FoundStore) -> None:
    """Find out whether it answers and takes writes. Raises `StoreUnavailable`."""
    await opened.store.ping()
    await opened.store.count(PROBE, PROBED_FOR)
    subject = f"store {config.store.place}"
    found.findings.append(Finding(Level.OK, subject, "answers, and takes writes"))
    must_last = catalog(config).suites or config.store.replicas_acknowledge
    if must_last and (problem := await opened.store.durability_problem()):
        found.findings.append(Finding(Level.WARN, "durability", problem, "see docs/operations.md, Redis"))


def _sealed(keys: Sequence[SealKey]) -> Finding:
    shown = [f"{key.id} {'opens' if number else 'seals'}" for number, key in enumerate(keys)]
    return Finding(Level.OK, "seal keys", f"{', '.join(shown)}; the store proves them")


def _new_database(subject: str, path: Path) -> Finding:
    if os.access(path.parent, os.W_OK):
        return Finding(Level.OK, subject, "does not exist: the first start makes it")
    problem = "does not exist, and this user cannot make it"
    # Whole, for with three slashes store.url is relative to where this runs.
    folder = path.parent.absolute()
    return Finding(Level.FAIL, subject, problem, f"make {folder}, writable for the broker's user")


def _cannot_start(subject: str, problem: str) -> Finding:
    key, _, text = problem.partition(": ")
    if key == "store.seal_keys":
        remedy = "configure the key that sealed it (store.seal_keys), or another store.prefix for a new fleet"
        return Finding(Level.FAIL, "seal keys", text, remedy)
    return Finding(Level.FAIL, subject, text, "see docs/operations.md, A start that fails")


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.{BESIDE}")
