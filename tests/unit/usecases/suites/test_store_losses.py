"""What replicas know of authorisations after their store was away, or lost all it had."""

from dataclasses import replace

from broker.domain.suites.installation import InstallationState
from broker.domain.suites.view import ViewState
from tests.kit.memory.provider_world import SECOND, ProviderWorld


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
