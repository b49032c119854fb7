"""What one change costs among ten thousand authorisations."""

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.secret import Secret
from broker.domain.suites.authorization import Authorization, AuthorizationState, AuthorizedAgent, Permission
from broker.domain.suites.installation import Installation, InstallationState
from tests.kit.memory.engine_world import Replica
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.provider_world import ProviderWorld


def authorization(world: ProviderWorld, number: int) -> Authorization:
    """Return one of many."""
    now = world.clock.now()
    permissions = tuple(Permission(f"p{index}", now + timedelta(days=number + 1)) for index in range(3))
    return Authorization(
        "market",
        f"wp{number:05}",
        1,
        AuthorizationState.ACTIVE,
        Secret("code"),
        f"hash {number}",
        now,
        now,
        agents=(AuthorizedAgent(7, permissions=permissions),),
    )


async def holding(world: ProviderWorld, count: int) -> Replica:
    """Return a replica that holds so many authorisations, each with the code that it came from."""
    replica = await world.start()
    for number in range(count):
        held = authorization(world, number)
        await replica.core.authorizations.adopt(held)
        done = Installation(
            "market", held.code_hash, 1, InstallationState.DONE, None, is_reset=False, install_state="",
            taken_at=held.installed_at, corp_id=held.corp_id,
        )  # fmt: skip
        await replica.core.installations.adopt(done)
    await settle()
    return replica


async def cost_of_changes(world: ProviderWorld, replica: Replica) -> float:
    """Return the processor time of a hundred changes, while an operator watches."""
    watching = replica.core.suites.overview.watch("market")
    await anext(watching)
    # A collection looks through all that the tests before this one have left behind.
    gc.disable()
    began = time.process_time()
    for number in range(100):
        changed = replace(authorization(world, number), fence=2 + number, problem=f"changed {number}")
        await replica.core.authorizations.adopt(changed)
        assert [changed.corp_id] == [view.corp_id for view in await anext(watching)]
        await asyncio.sleep(0)
    spent = time.process_time() - began
    gc.enable()
    await watching.aclose()
    return spent


@pytest.mark.slow
async def test_a_change_costs_no_more_among_ten_thousand(world: ProviderWorld) -> None:
    few, many = await holding(world, 200), await holding(world, 10_000)

    assert await cost_of_changes(world, many) < 10 * await cost_of_changes(world, few)


def quickest(work: Callable[[], object]) -> float:
    """Return the least processor time of a few tries."""
    spent = []
    for _ in range(5):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


@pytest.mark.slow
async def test_ten_thousand_are_counted_in_a_fraction_of_the_time_in_which_they_are_shown(
    world: ProviderWorld,
) -> None:
    replica = await holding(world, 10_000)
    overview = replica.core.suites.overview

    counting = quickest(lambda: (overview.counts("market"), overview.next_permission_end("market")))

    assert {"active": 10_000} == overview.counts("market")
    assert world.clock.now() + timedelta(days=1) == overview.next_permission_end("market")
    assert counting < quickest(lambda: overview._make_rows("market")) / 2


async def test_a_code_that_becomes_an_authorisation_gives_its_row_to_the_corp(world: ProviderWorld) -> None:
    replica = await world.start()
    watching = replica.core.suites.overview.watch("market")
    assert [] == await world.run(anext(watching))  # type: ignore[arg-type]
    await world.push(replica)
    await world.authorize(replica)

    views = await anext(watching)

    assert ["active"] == [view.state for view in views]
    assert ["active"] == [view.state for view in await replica.core.suites.overview.list("market")]
