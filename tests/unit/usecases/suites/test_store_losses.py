"""What replicas know of authorisations after their store was away, or lost all it had."""

from dataclasses import replace

import pytest

from broker.domain.errors import ReauthorizationRequired, StoreUnavailable, WecomUnavailable
from broker.domain.secret import Secret
from broker.domain.suites.installation import InstallationState
from broker.domain.suites.view import ViewState
from tests.kit.memory.memory_store import MemoryStore
from tests.kit.memory.provider_world import SECOND, ProviderWorld
from tests.kit.memory.suite_wecom import AUTH_INFO


async def test_replicas_that_wrote_without_the_store_at_one_moment_agree_once_it_is_back(
    world: ProviderWorld,
) -> None:
    fleet = await world.fleet(2)
    await world.push(fleet[0])
    found = await world.authorize(fleet[0])
    for replica in fleet:
        replica.store.cut()
    for number, replica in enumerate(fleet):
        await replica.core.authorizations.change(
            found.key, lambda present, number=number: replace(present, corp_name=f"as {number} wrote it")
        )
    held = [replica.core.authorizations.get(found.key) for replica in fleet]
    assert held[0].fence == held[1].fence
    assert held[0] != held[1]

    for replica in fleet:
        replica.store.mend()
    await world.clock.advance(5 * SECOND)

    assert 1 == len({replica.core.authorizations.get(found.key).corp_name for replica in fleet})


async def test_a_replica_that_starts_finds_all_that_others_gave_back_to_a_store_that_lost_it(
    world: ProviderWorld,
) -> None:
    first = await world.start()
    await world.push(first)
    found = await world.authorize(first)
    first.store.cut()
    world.shared.lose_data()
    first.store.mend()
    await world.clock.advance(5 * SECOND)
    second = await world.start()

    views = await second.core.suites.overview.list("market")
    assert [(found.corp_id, ViewState.ACTIVE)] == [(view.corp_id, view.state) for view in views]
    # A code that is known as exchanged is not sent again, whoever pushes it.
    installations = second.core.installations
    [code] = [installations.get(key) for key in installations.held()]
    assert code is not None
    assert InstallationState.DONE is code.state


async def test_a_replica_that_starts_settles_no_code_before_it_knows_all_authorisations(
    world: ProviderWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await world.start()
    await world.push(first)
    found = await world.authorize(first)
    [code] = [first.core.installations.get(key) for key in first.core.installations.held()]
    assert code
    sent = replace(
        code, state=InstallationState.SENT, auth_code=Secret("spent"), sent_at=code.taken_at, fence=2**45
    )
    await first.crash()
    members, held_back = MemoryStore.members, True

    async def without_authorizations(store: MemoryStore, group: str, start: int, count: int) -> list[str]:
        if held_back and group.startswith("authorizations"):
            raise StoreUnavailable("the list is not there yet")
        return await members(store, group, start, count)

    monkeypatch.setattr(MemoryStore, "members", without_authorizations)
    second = await world.start()
    await second.storage.installations.offer(sent)
    await world.clock.advance(60 * SECOND)
    assert [] == second.suite_witness.exchanges

    held_back = False
    await world.clock.advance(5 * SECOND)

    assert ["done"] == second.suite_witness.exchanges
    assert [found.corp_id] == [view.corp_id for view in await second.core.suites.overview.list("market")]


async def test_a_newer_code_of_a_replica_that_was_cut_off_beats_what_others_wrote_meanwhile(
    world: ProviderWorld,
) -> None:
    cut_off, other = await world.fleet(2)
    await world.push(cut_off)
    found = await world.authorize(cut_off)
    cut_off.store.cut()
    newer = await cut_off.core.authorizations.change(
        found.key, lambda present: replace(present or found, permanent_code=Secret("newer"))
    )
    await world.clock.advance(SECOND)
    await other.core.authorizations.refuse(found, ReauthorizationRequired("the old code", errcode=40084))
    refused = other.core.authorizations.get(found.key)
    assert newer is not None
    assert refused is not None
    assert newer.fence < refused.fence

    world.suite_wecom.fail(AUTH_INFO, lambda: WecomUnavailable("busy"), times=1000)
    cut_off.store.mend()
    await world.clock.advance(5 * SECOND)

    for replica in (cut_off, other):
        held = replica.core.authorizations.get(found.key)
        assert held is not None
        assert Secret("newer") == held.permanent_code
        assert held.is_usable
    assert held == await other.storage.authorizations.find(found.key)
