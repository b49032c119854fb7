"""A fleet that serves suites."""

from collections.abc import AsyncIterator

import pytest

from tests.kit.memory.provider_world import ProviderWorld


@pytest.fixture
async def world() -> AsyncIterator[ProviderWorld]:
    """Replicas over one store, in front of one WeCom."""
    async with ProviderWorld() as world:
        yield world
