"""A demo world under a clock that stands still, and a caller of it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from broker.simulator import World, demo_world, running_simulator
from tests.simulator.caller import Caller, FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def world(clock: FakeClock, slept: list[float]) -> World:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return demo_world(clock=clock, sleep=sleep)


@pytest.fixture
async def wecom(world: World) -> AsyncIterator[Caller]:
    async with running_simulator(world) as url, aiohttp.ClientSession(url) as session:
        yield Caller(session)
