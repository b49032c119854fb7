"""A provider's world under a clock that stands still: nothing is installed."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from broker.simulator import World, running_simulator
from broker.simulator.provider_demo import provider_world
from tests.simulator.callbacks.receiver import Receiver, running_receiver
from tests.simulator.caller import Caller, FakeClock
from tests.simulator.suites.acme import Acme
from tests.simulator.suites.told import Told, configure


@pytest.fixture
def world(clock: FakeClock, slept: list[float]) -> World:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return provider_world(3, clock=clock, sleep=sleep)


@pytest.fixture
async def wecom(world: World) -> AsyncIterator[Caller]:
    async with running_simulator(world) as url, aiohttp.ClientSession(url) as session:
        yield Caller(session)


@pytest.fixture
def acme(wecom: Caller, world: World) -> Acme:
    return Acme(wecom, world)


@pytest.fixture
async def receiver(world: World) -> AsyncIterator[Receiver]:
    """Get what all URLs of acme are told: /callback/market, and so on."""
    async with running_receiver() as receiver:
        configure(world, receiver.url.removesuffix("/crm"))
        yield receiver


@pytest.fixture
def told(acme: Acme, receiver: Receiver) -> Told:
    return Told(acme.world, receiver)
