"""What a replica does again and again takes no longer, and what it holds is no larger, when it holds much."""

import tracemalloc
from collections.abc import Callable  # noqa: TC003 - beside the other imports
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey, CredentialKind, Freshness
from broker.domain.secret import Secret
from broker.usecases.credentials.census import LOOKED_AT_ONCE, CredentialCensus
from broker.usecases.credentials.refresh_ahead import KEPT_AFTER_EXPIRY, NAP
from tests.kit.memory.engine_world import CHILD_SHARE, CRM, OWN, POLICY, EngineWorld, Replica
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.wecom import SimulatedWecom
from tests.kit.steps import counted_steps

HOURS = timedelta(hours=2)
MANY = 10_000
BYTES = 1_250
"""What one credential may take in memory; 500 of them are its names, its value and its four moments."""


def hold(replica: Replica, clock: FakeClock, start: int, count: int) -> None:
    now = clock.now()
    for number in range(start, start + count):
        key = CredentialKey("crm", f"ww{number:016}", number, ShareKind.CORP_GROUP)
        fence = 1_795_000_000_000 + number
        began = now + timedelta(milliseconds=number)
        replica.memory.put(
            Credential(key, Secret(f"{number:0214}"), fence, fence, began, began + HOURS, began)
        )


async def test_the_work_of_a_second_is_bounded_whatever_is_held(replica: Replica, clock: FakeClock) -> None:
    census = CredentialCensus(replica.memory, clock, POLICY)
    long_ago = clock.now() - KEPT_AFTER_EXPIRY
    work: dict[str, Callable[[], object]] = {
        "counting": census.look,
        "sweeping": lambda: replica.memory.sweep(long_ago, long_ago),
        "pacing": replica.core.pace.admits,
    }

    def steps_of() -> dict[str, int]:
        found = {}
        for name, act in work.items():
            with counted_steps() as steps:
                act()
            found[name] = steps.count
        return found

    hold(replica, clock, 0, LOOKED_AT_ONCE)
    few = steps_of()
    hold(replica, clock, LOOKED_AT_ONCE, MANY)
    many = steps_of()

    assert all(many[name] < 1.2 * few[name] + 100 for name in work), (few, many)


async def test_the_next_one_of_many_is_scheduled_with_as_little_work_as_the_first(
    replica: Replica, clock: FakeClock
) -> None:
    hold(replica, clock, 0, 10)
    with counted_steps() as few:
        hold(replica, clock, 10, 1)
    hold(replica, clock, 11, MANY)
    with counted_steps() as many:
        hold(replica, clock, MANY + 20, 1)

    assert many.count < 1.2 * few.count


@pytest.mark.slow
async def test_a_listing_of_forty_pages_takes_as_little_for_each_child_as_one_of_ten(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    await world.run(replica.engine.get(OWN))

    async def steps_for_each_of(children: int) -> float:
        numbers = range(1, children + 1)
        wecom.shares = [replace(CHILD_SHARE, corp_id=f"ww{n}", agent_id=n) for n in numbers]
        await clock.jump(timedelta(minutes=1))
        await replica.lister.sync(CRM)
        await clock.jump(timedelta(minutes=1))
        with counted_steps() as steps:
            await replica.lister.sync(CRM)
        assert children == len(replica.shares.held(CRM))
        return steps.count / children

    # Those of the first listing are known since no listing in particular, which takes less work.
    await steps_for_each_of(1)
    few, many = await steps_for_each_of(1_000), await steps_for_each_of(4_000)

    assert many < 1.2 * few


async def test_a_count_of_many_is_complete_after_some_looks_and_never_partial(
    replica: Replica, clock: FakeClock
) -> None:
    census = CredentialCensus(replica.memory, clock, POLICY)
    fresh = CredentialKind.ACCESS_TOKEN, Freshness.FRESH
    hold(replica, clock, 0, 300)
    first = census.look().counts[fresh]
    hold(replica, clock, 300, 3 * LOOKED_AT_ONCE)
    seen = {census.look().counts[fresh] for _ in range(10)}

    assert 300 == first
    assert {300, 300 + 3 * LOOKED_AT_ONCE} == seen
    assert 300 + 3 * LOOKED_AT_ONCE == replica.memory.credential_count


async def test_all_that_nobody_wants_is_forgotten_though_each_sweep_sees_a_part(
    replica: Replica, clock: FakeClock
) -> None:
    hold(replica, clock, 0, 3000)
    await clock.jump(HOURS + KEPT_AFTER_EXPIRY + timedelta(minutes=1))
    replica.refresh_ahead()
    await clock.advance(10 * NAP)

    assert (0, 0) == (len(replica.memory), replica.memory.credential_count)
    assert abs(replica.memory.renewals_a_minute) < 1e-6


async def test_what_is_held_is_counted_once_however_often_it_is_renewed(
    replica: Replica, clock: FakeClock
) -> None:
    hold(replica, clock, 0, 2)
    one = replica.memory.renewals_a_minute / 2
    for entry in replica.memory:
        assert entry.credential
        replica.memory.put(replace(entry.credential, fence=entry.credential.fence + 1))
        with replica.memory.watching(entry.key):
            assert 1 == replica.memory.watcher_count
    replica.memory.drop(next(iter(replica.memory)).key)

    assert (1, 0) == (replica.memory.credential_count, replica.memory.watcher_count)
    assert one == pytest.approx(replica.memory.renewals_a_minute)


@pytest.mark.slow
async def test_a_credential_takes_little_memory(replica: Replica, clock: FakeClock) -> None:
    hold(replica, clock, 0, 100)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        hold(replica, clock, 100, 3000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (after - before) / 3000 < BYTES
