"""Rules 1 to 3: one fetch per rotation for the fleet, a second look, and commits with a fencing number."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from broker.adapters.storage import codecs
from broker.domain.credentials import Credential
from broker.domain.errors import WecomProtocol
from broker.domain.ports.store import Busy, Lease
from broker.domain.secret import Secret
from broker.usecases.fleet.leased_flight import LEASE
from tests.kit.memory.engine_world import CHILD, CHILD_TARGET, OWN, EngineWorld, Replica, outcome, wait_for
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

SECOND = timedelta(seconds=1)


async def test_rule_1_a_hundred_cold_callers_on_three_replicas_cost_one_fetch(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    replicas = await world.fleet(3)

    found = await world.gather(*(replicas[turn % 3].engine.get(OWN) for turn in range(100)))

    assert 1 == wecom.count()
    assert 1 == len({(credential.value, credential.generation) for credential in found})


async def test_rule_1_a_fetch_that_is_slower_than_the_lease_keeps_it(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.delay = 4 * LEASE
    one, other = await world.fleet(2)

    await world.gather(one.engine.get(OWN), other.engine.get(OWN))

    assert 1 == wecom.count()


async def test_rule_1_the_lease_of_a_crashed_holder_runs_out(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.delay = SECOND
    one, other = await world.fleet(2)
    doomed = asyncio.create_task(one.engine.get(OWN))
    await settle()
    await one.crash()
    began = clock.now()

    await world.run(other.engine.get(OWN))

    assert 2 == wecom.count()
    assert LEASE + SECOND <= clock.now() - began <= LEASE + 2 * SECOND
    assert doomed.cancelled()


async def test_rule_1_a_chain_takes_the_lease_of_each_credential(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    replicas = await world.fleet(3)

    await world.gather(*(replicas[turn % 3].tokens.get(CHILD_TARGET) for turn in range(30)))

    assert {1} == set(wecom.most_at_once.values())
    chain = (Endpoint.APP_TOKEN, Endpoint.SHARES, Endpoint.CHILD_TOKEN)
    assert [1, 1, 1] == [wecom.count(endpoint) for endpoint in chain]


async def test_rule_1_a_child_and_its_parent_are_asked_at_once_without_waiting_for_each_other(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    one, other = await world.fleet(2)

    await world.gather(
        one.engine.get(CHILD), other.engine.get(OWN), other.engine.get(CHILD), one.engine.get(OWN)
    )

    assert 2 == wecom.count()


async def test_rule_2_a_lease_that_was_taken_after_anothers_commit_costs_no_fetch(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    one, other = await world.fleet(2)
    acquire = one.store.acquire

    async def after_the_other_s_commit(name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        await other.engine.get(OWN)
        return await acquire(name, duration, floor)

    one.store.acquire = after_the_other_s_commit  # type: ignore[method-assign]

    found = await world.run(one.engine.get(OWN))

    assert other.memory.get(OWN) == found
    assert 1 == wecom.count()
    assert [] == one.witness.waits


async def test_rule_2_who_waited_for_a_failing_holder_looks_again_and_fetches_itself(
    world: EngineWorld, wecom: SimulatedWecom
) -> None:
    wecom.delay = SECOND
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomProtocol("nonsense"), times=1)
    one, other = await world.fleet(2)
    other.error_cache.check = one.error_cache.check = nothing_remembered  # type: ignore[method-assign]

    failed, found = await world.gather(outcome(one.engine.get(OWN)), outcome(other.engine.get(OWN)))

    assert isinstance(failed, WecomProtocol)
    assert isinstance(found, Credential)
    assert 2 == wecom.count()
    assert [OWN.name] == other.witness.waits


async def test_rule_3_a_commit_after_the_lease_was_lost_is_dropped(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.delay = 10 * SECOND
    frozen, other = await world.fleet(2)
    slow = asyncio.create_task(frozen.engine.get(OWN))
    await settle()
    # The holder of the lease is suspended: its lease ends, and it notices nothing.
    world.shared.leases.clear()
    wecom.delay = SECOND

    theirs = await world.run(other.engine.get(OWN))
    mine = await world.run(wait_for(slow))

    assert theirs == mine
    assert theirs.value == codecs.CREDENTIALS.decode(OWN, world.shared.records[OWN.name]).value
    assert (OWN.name, "superseded") in frozen.witness.refreshes


async def test_rule_3_the_generation_grows_though_the_store_lost_its_data(
    world: EngineWorld, wecom: SimulatedWecom, clock: FakeClock
) -> None:
    one, other = await world.fleet(2)
    before = await world.run(one.engine.get(OWN))
    far_ahead = before.generation + 10**9
    one.memory.put(replace(before, generation=far_ahead, fence=far_ahead))
    world.shared.lose_data()

    _, after = await world.run(one.engine.refresh(OWN))
    await settle()

    assert after.generation > far_ahead
    assert after == await other.engine.get(OWN)


async def test_rule_3_memory_takes_nothing_older_from_the_store(replica: Replica, world: EngineWorld) -> None:
    held = await world.run(replica.engine.get(OWN))
    older = replace(held, value=Secret("older"), generation=held.generation - 1, fence=held.fence - 1)
    sideways = replace(
        held, value=Secret("renewed older"), generation=held.generation - 1, fence=held.fence + 1
    )

    assert not replica.memory.put(older)
    assert not replica.memory.put(sideways)
    assert held == await replica.engine.get(OWN)


async def test_rule_3_a_report_on_a_store_that_is_behind_never_hands_out_an_older_generation(
    replica: Replica, world: EngineWorld
) -> None:
    held = await world.run(replica.engine.get(OWN))
    newer = replace(held, value=Secret("newer"), generation=held.generation + 5, fence=held.fence + 5)
    replica.memory.put(newer)

    _, after = await world.run(replica.engine.replace(OWN, newer.generation))

    assert after.generation > newer.generation


async def test_rule_3_a_credential_survives_the_store_as_it_was(replica: Replica, world: EngineWorld) -> None:
    credential = await world.run(replica.engine.get(OWN))

    assert credential == codecs.CREDENTIALS.decode(OWN, codecs.CREDENTIALS.encode(credential))


async def nothing_remembered(*scopes: str, app: str = "") -> None:
    """Stand for a fleet that remembers no error."""
