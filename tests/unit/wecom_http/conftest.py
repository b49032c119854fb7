"""The adapter under test, against the simulator of the demo."""

from collections.abc import AsyncIterator

import pytest

from broker.domain.credentials import Credential
from broker.simulator import World, demo_world, running_simulator
from tests.unit.wecom_http.recorders import Surroundings, Wecom, app, parent_with


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


@pytest.fixture
def world() -> World:
    return demo_world()


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    async with running_simulator(world) as url:
        yield url


@pytest.fixture
async def wecom(url: str, around: Surroundings) -> AsyncIterator[Wecom]:
    async with around.wecom(url) as wecom:
        yield wecom


@pytest.fixture
async def parent(url: str) -> Credential:
    async with Surroundings().wecom(url) as wecom:
        return parent_with((await wecom.fetch_app_token(app())).value.reveal())
