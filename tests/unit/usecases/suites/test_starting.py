"""A replica that has just started takes no corp for unknown, nor for the only one, before it has looked."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from broker.domain.apps import Target
from broker.domain.errors import CorpNotAuthorized, InvalidRequest, StoreUnavailable
from broker.simulator import provider_demo as demo
from tests.kit.memory.engine_world import Replica, outcome
from tests.kit.memory.provider_world import TAILORED, ProviderWorld

STRANGER = Target("tailored", "wpStranger")


async def once_loaded(replica: Replica, asking: Coroutine[Any, Any, Any]) -> object:
    """Ask while the authorisations are being loaded; return the outcome."""
    loaded = replica.core.authorizations.enlisted.loaded
    loaded.clear()
    asked = asyncio.ensure_future(outcome(asking))
    await asyncio.sleep(0)
    assert not asked.done()
    loaded.set()
    return await asked


async def test_the_only_corp_is_known_once_all_are_loaded(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica, TAILORED)
    await world.authorize(replica, demo.PARENT, TAILORED)
    await world.authorize(replica, demo.child(1), TAILORED)

    assert isinstance(await once_loaded(replica, replica.core.authorizations.sole(TAILORED)), InvalidRequest)


async def test_a_child_is_unknown_once_all_parents_are_loaded(world: ProviderWorld) -> None:
    replica = await world.start()

    assert isinstance(await once_loaded(replica, replica.targets.locate(STRANGER)), CorpNotAuthorized)


@pytest.mark.slow
async def test_nobody_waits_for_ever(world: ProviderWorld) -> None:
    replica = await world.start()
    replica.core.authorizations.enlisted.loaded.clear()
    error = await outcome(replica.targets.locate(STRANGER))

    assert isinstance(error, StoreUnavailable)
    assert error.retry_after
