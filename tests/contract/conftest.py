"""The suite of the store port runs against every store that there is."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from broker.domain.ports import Store
from tests.contract.fleets import Fleet, memory_fleet, redis_fleet, sealed_fleet, sqlite_fleet
from tests.kit.redis_server import RedisServer

MEMORY = Path("/dev/shm")
"""Where there is one, the disk need not keep up with a new file for each test."""


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may kill."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def patient_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no outage; how long Redis may take has tests of its own."""
    monkeypatch.setattr("broker.adapters.redis_link.ANSWER_SECONDS", 10.0)


@pytest.fixture(params=["memory", "sqlite", "redis", "sealed sqlite", "sealed redis"])
async def fleet(request: pytest.FixtureRequest, patient_link: None) -> AsyncIterator[Fleet]:
    kind = request.param.removeprefix("sealed ")
    async with AsyncExitStack() as stack:
        if kind == "memory":
            fleet = await stack.enter_async_context(memory_fleet())
        elif kind == "sqlite":
            folder = stack.enter_context(TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None))
            fleet = await stack.enter_async_context(sqlite_fleet(Path(folder) / "store.db"))
        else:
            server = request.getfixturevalue("redis_server")
            fleet = await stack.enter_async_context(redis_fleet(server, f"test-{secrets.token_hex(4)}"))
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
