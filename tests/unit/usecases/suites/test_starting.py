"""A replica that has just started takes no corp for unknown, nor for the only one, before it has looked."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from broker.domain.apps import Target
from broker.domain.errors import CorpNotAuthorized, InvalidRequest, StoreUnavailable
from broker.domain.suites.authorization import AuthorizationState
from broker.simulator import provider_demo as demo
from tests.kit.memory.engine_world import Replica, outcome
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.provider_world import SECOND, TAILORED, ProviderWorld
from tests.kit.memory.suite_wecom import APP_TOKEN

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


async def test_corps_whose_seal_key_was_missing_are_known_once_it_is_here(world: ProviderWorld) -> None:
    replica, other = await world.start(), await world.start()
    replica.store.deaf = True  # as one that cannot read what it hears of
    await world.push(other)
    found = await world.authorize(other)
    replica.store.deaf = False
    assert replica.core.authorizations.get(found.key) is None

    replica.core.notifications.look_again()
    await settle()

    assert found == replica.core.authorizations.get(found.key)


@pytest.mark.slow
async def test_nobody_waits_for_ever(world: ProviderWorld) -> None:
    replica = await world.start()
    replica.core.authorizations.enlisted.loaded.clear()
    error = await outcome(replica.targets.locate(STRANGER))

    assert isinstance(error, StoreUnavailable)
    assert error.retry_after


async def test_a_corp_that_authorised_a_moment_ago_is_found_with_its_agent(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica, TAILORED)
    world.suite_wecom.delay = SECOND
    code = world.suite_wecom.install(demo.PARENT, "tailored")
    await world.take(replica, code, TAILORED)
    corp_id = world.suite_wecom.corp_id(demo.PARENT, "tailored")
    found = await world.until(replica, TAILORED, corp_id, AuthorizationState.ACTIVE)
    assert not found.agents

    token = await world.run(replica.tokens.get(Target("tailored", corp_id)))
    assert token.key.agent_id
    await world.clock.advance(10 * SECOND)
    assert 1 == world.suite_wecom.count(APP_TOKEN)
