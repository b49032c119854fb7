"""The suite of the store port runs against every store that there is."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from broker.domain.events.log import Entry
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.store import Store
from tests.contract.event_fleets import (
    Broker,
    EventFleet,
    memory_events,
    redis_events,
    sealed_events,
    sqlite_events,
)
from tests.contract.fleets import Fleet, memory_fleet, redis_fleet, sealed_fleet, sqlite_fleet
from tests.kit.processes.redis_server import RedisServer
from tests.kit.processes.redis_sets import STEADY_MS, ClusterSet, SentinelSet

KINDS = ["memory", "sqlite", "redis", "sentinel", "cluster", "sealed sqlite", "sealed redis"]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def sentinel_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    with SentinelSet(tmp_path_factory.mktemp("sentinel"), down_after_ms=STEADY_MS) as servers:
        yield servers


@pytest.fixture(scope="session")
def cluster_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSet]:
    with ClusterSet(tmp_path_factory.mktemp("cluster"), down_after_ms=STEADY_MS) as members:
        yield members


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may kill."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def patient_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no outage; how long Redis may take has tests of its own."""
    monkeypatch.setattr("broker.adapters.redis.servers.port.ANSWER_SECONDS", 10.0)
    monkeypatch.setattr("broker.adapters.sqlite.group_commit.QUEUE_SECONDS", 10.0)
    monkeypatch.setattr("broker.adapters.sqlite.group_commit.EXECUTION_SECONDS", 10.0)
    monkeypatch.setattr("broker.adapters.redis.batched_writes.SYNC", timedelta(seconds=5))


@pytest.fixture
def patient_ear(monkeypatch: pytest.MonkeyPatch, patient_client: None) -> None:
    """A busy machine silences no subscription: a new one would miss what is published before it is open."""
    monkeypatch.setattr("broker.adapters.redis.subscription.HEARTBEAT_SECONDS", 10.0)


@pytest.fixture(params=KINDS)
async def fleet(request: pytest.FixtureRequest, tmp_path: Path, patient_ear: None) -> AsyncIterator[Fleet]:
    kind = request.param.removeprefix("sealed ")
    async with AsyncExitStack() as stack:
        if kind == "memory":
            fleet = await stack.enter_async_context(memory_fleet())
        elif kind == "sqlite":
            fleet = await stack.enter_async_context(sqlite_fleet(tmp_path / "store.db"))
        else:
            servers = request.getfixturevalue(f"{kind}_server")
            fleet = await stack.enter_async_context(redis_fleet(servers.url, f"test-{secrets.token_hex(4)}"))
        if kind != request.param:
            fleet = await stack.enter_async_context(sealed_fleet(fleet))
        yield fleet


@pytest.fixture
async def store(fleet: Fleet) -> Store:
    return await fleet.connect()


@pytest.fixture
async def other(fleet: Fleet, store: Store) -> Store:
    """The same store, as another broker sees it."""
    return await fleet.connect()


@pytest.fixture(params=KINDS)
async def event_fleet(
    request: pytest.FixtureRequest, tmp_path: Path, patient_ear: None
) -> AsyncIterator[EventFleet]:
    kind = request.param.removeprefix("sealed ")
    async with AsyncExitStack() as stack:
        if kind == "memory":
            fleet = await stack.enter_async_context(memory_events())
        elif kind == "sqlite":
            fleet = await stack.enter_async_context(sqlite_events(tmp_path / "store.db"))
        else:
            servers = request.getfixturevalue(f"{kind}_server")
            fleet = await stack.enter_async_context(redis_events(servers.url, f"test-{secrets.token_hex(4)}"))
        if kind != request.param:
            fleet = await stack.enter_async_context(sealed_events(fleet))
        yield fleet


@pytest.fixture
async def broker(event_fleet: EventFleet) -> Broker:
    return await event_fleet.connect()


@pytest.fixture
async def log(broker: Broker) -> EventLog[Entry]:
    return broker.log


@pytest.fixture
async def groups(broker: Broker) -> EventGroups:
    return broker.groups


@pytest.fixture
async def other_broker(event_fleet: EventFleet, broker: Broker) -> Broker:
    return await event_fleet.connect()


@pytest.fixture
async def other_log(other_broker: Broker) -> EventLog[Entry]:
    """The same log, as another broker sees it."""
    return other_broker.log


@pytest.fixture
async def other_groups(other_broker: Broker) -> EventGroups:
    """The same groups, as another broker sees them."""
    return other_broker.groups
