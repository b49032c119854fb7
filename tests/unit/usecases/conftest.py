"""A fleet of engines under a clock that stands still."""

from collections.abc import AsyncIterator

import pytest

from tests.kit.memory.engine_world import EngineWorld, Replica
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.wecom import SimulatedWecom


@pytest.fixture
async def world() -> AsyncIterator[EngineWorld]:
    async with EngineWorld() as world:
        yield world


@pytest.fixture
def clock(world: EngineWorld) -> FakeClock:
    return world.clock


@pytest.fixture
def wecom(world: EngineWorld) -> SimulatedWecom:
    return world.wecom


@pytest.fixture
async def replica(world: EngineWorld) -> Replica:
    return await world.start()
