"""Authorisations that an operator takes out of the store and puts back while brokers run."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.domain.errors import ReauthorizationRequired, StoreUnavailable
from broker.domain.ports.collection import Stored
from broker.domain.ports.store import Busy
from broker.domain.secret import Secret
from broker.domain.suites.authorization import Authorization, AuthorizationKey, AuthorizationState
from broker.simulator import provider_demo as demo
from broker.usecases.suites.backup import LEASE_DURATION, AuthorizationBackup, Restored
from tests.kit.memory.engine_world import Replica
from tests.kit.memory.provider_world import MARKET, SECOND, TAILORED, ProviderWorld


def backup_of(world: ProviderWorld, replica: Replica, *suites: str) -> AuthorizationBackup:
    storage = replica.storage
    return AuthorizationBackup(
        suites or tuple(world.catalog.suites),
        storage.authorizations,
        storage.groups,
        storage.coordination,
        world.clock,
    )


async def refused(replica: Replica, authorization: Authorization) -> None:
    """Let WeCom refuse the permanent code from now on."""
    await replica.core.authorizations.refuse(authorization, ReauthorizationRequired("no", errcode=40084))


async def test_those_with_a_permanent_code_are_taken_by_suite_and_corp(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    await world.push(replica, TAILORED)
    installed = [
        await world.authorize(replica, corp, suite)
        for suite, corp in ((TAILORED, demo.PARENT), (MARKET, demo.child(1)), (MARKET, demo.PARENT))
    ]
    cancelled = await world.authorize(replica, demo.child(2))
    await replica.core.suites.cancellation.cancel(MARKET, cancelled.corp_id, world.clock.now())

    taken = await backup_of(world, replica).taken()

    assert sorted(installed, key=lambda found: found.key) == taken


async def test_another_try_takes_them_again_and_no_others(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    backup = backup_of(world, replica)

    assert [found] == await backup.taken() == await backup.taken()


async def test_brokers_use_what_is_put_back_and_read_what_the_corp_allows(world: ProviderWorld) -> None:
    first, second = await world.fleet(2)
    await world.push(first)
    saved = await world.authorize(first)
    await refused(first, saved)
    await world.until(second, MARKET, saved.corp_id, AuthorizationState.REAUTHORIZATION_REQUIRED)
    backup = backup_of(world, first)

    assert Restored.KEPT_NEWER is await backup.restore(saved, force=False)
    assert Restored.REPLACED is await backup.restore(saved, force=True)

    found = await world.until(second, MARKET, saved.corp_id, AuthorizationState.ACTIVE)
    assert found.is_stale
    while found.is_stale:
        await world.clock.advance(SECOND / 10)
        found = second.core.authorizations.get(saved.key) or found
    assert (saved.permanent_code, saved.agents) == (found.permanent_code, found.agents)


async def test_what_the_store_has_already_stays_as_it_is(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    saved = await world.authorize(replica)
    older = replace(saved, fence=saved.fence - 1, corp_name="as it was called then")

    assert Restored.UNCHANGED is await backup_of(world, replica).restore(older, force=True)
    assert saved == replica.core.authorizations.get(saved.key)


async def test_a_suite_that_is_not_configured_gets_nothing(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    saved = await world.authorize(replica)
    strange = replace(saved, permanent_code=Secret("of the file"), fence=saved.fence + 1)

    assert Restored.UNKNOWN_SUITE is await backup_of(world, replica, "tailored").restore(strange, force=True)
    assert saved == replica.core.authorizations.get(saved.key)


async def test_a_forced_write_waits_for_whoever_changes_the_same_authorisation(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    saved = await world.authorize(replica)
    await refused(replica, saved)
    leases, name = replica.storage.coordination, Authorization.name_of(saved.key)
    lease = await leases.acquire(name, timedelta(seconds=3))
    assert not isinstance(lease, Busy)

    writing = asyncio.create_task(backup_of(world, replica).restore(saved, force=True))
    await world.clock.advance(SECOND)
    assert not writing.done()
    await leases.release(lease)
    assert Restored.REPLACED is await world.run(writing)


async def test_a_forced_write_does_not_wait_for_ever(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    saved = await world.authorize(replica)
    await refused(replica, saved)
    leases, name = replica.storage.coordination, Authorization.name_of(saved.key)
    lease = await leases.acquire(name, LEASE_DURATION)
    assert not isinstance(lease, Busy)

    async def hold() -> None:
        while await leases.renew(lease):
            await world.clock.sleep(SECOND)

    holding = asyncio.create_task(hold())
    assert Restored.BUSY is await world.run(backup_of(world, replica).restore(saved, force=True))
    holding.cancel()
    held = replica.core.authorizations.get(saved.key)
    assert held
    assert AuthorizationState.REAUTHORIZATION_REQUIRED is held.state


class Together:
    """A collection that writes only once so many writes are under way."""

    def __init__(self, inner: Any, count: int) -> None:
        self._barrier = asyncio.Barrier(count)
        self._inner = inner
        self.load, self.is_current = inner.load, inner.is_current

    async def supplant(self, authorization: Authorization) -> bool:
        await self._barrier.wait()
        return bool(await self._inner.supplant(authorization))


async def test_many_are_put_back_at_a_time_and_told_of_in_order(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    saved = [replace(found, corp_id=f"wp{number:03}") for number in range(150)]
    storage = replica.storage
    together = Together(storage.authorizations, 50)
    backup = AuthorizationBackup(["market"], together, storage.groups, storage.coordination, world.clock)  # type: ignore[arg-type]

    told = [batch async for batch in backup.restore_all(saved, force=False, at_once=50)]

    written = [(authorization, Restored.WRITTEN) for authorization in saved]
    assert [written[:50], written[50:100], written[100:]] == told


async def test_a_failure_comes_after_what_was_put_back_beside_it(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    saved = [replace(found, corp_id=f"wp{number}") for number in range(5)]
    restoring = backup_of(world, replica).restore_all(saved, force=False, at_once=2)

    told = await anext(restoring)
    replica.store.cut()

    assert [(each, Restored.WRITTEN) for each in saved[:2]] == told
    assert [] == await anext(restoring)
    with pytest.raises(StoreUnavailable):
        await anext(restoring)


class Failing:
    """A collection that cannot be read for one corp."""

    def __init__(self, inner: Any, corp_id: str) -> None:
        self._inner = inner
        self._corp_id = corp_id
        self.supplant, self.is_current = inner.supplant, inner.is_current

    async def load(self, keys: list[AuthorizationKey]) -> dict[AuthorizationKey, Stored[Authorization]]:
        if any(corp_id == self._corp_id for _, corp_id in keys):
            raise StoreUnavailable("because the test says so")
        return dict(await self._inner.load(keys))


async def test_all_that_was_put_back_beside_a_failure_is_told_of(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica)
    saved = [replace(found, corp_id=f"wp{number}") for number in range(5)]
    storage = replica.storage
    failing = Failing(storage.authorizations, "wp1")
    backup = AuthorizationBackup(["market"], failing, storage.groups, storage.coordination, world.clock)  # type: ignore[arg-type]
    restoring = backup.restore_all(saved, force=False, at_once=3)

    assert [(saved[0], Restored.WRITTEN), (saved[2], Restored.WRITTEN)] == await anext(restoring)
    with pytest.raises(StoreUnavailable):
        await anext(restoring)
