"""Lost auth_codes: who settles them, and that the next corp's installation settles no other one's."""

from broker.domain.suites.authorization import AuthorizationState
from broker.domain.suites.suite import Suite
from broker.simulator import provider_demo as demo
from tests.kit.memory.engine_world import Replica
from tests.kit.memory.provider_world import MARKET, SECOND, TAILORED, ProviderWorld
from tests.kit.memory.suite_wecom import EXCHANGE

CHILD = demo.child(1)


async def lose(world: ProviderWorld, replica: Replica, suite: Suite = MARKET) -> None:
    """Install the suite in the parent, and lose WeCom's answer to the code."""
    await world.push(replica, suite)
    world.suite_wecom.lose(EXCHANGE)
    await world.take(replica, world.suite_wecom.install(demo.PARENT, suite.name), suite)
    await world.clock.advance(2 * SECOND)
    assert 1 == lost(replica, suite)


def lost(replica: Replica, suite: Suite = MARKET) -> int:
    return replica.core.suites.overview.counts(suite.name).get("lost", 0)


def followed(replica: Replica, suite: Suite = MARKET) -> int:
    return replica.core.suites.overview.lost_followed(suite.name)


async def test_an_installation_that_follows_is_told_beside_the_lost_one(world: ProviderWorld) -> None:
    replicas = await world.fleet(2)
    await lose(world, replicas[0])
    assert 0 == followed(replicas[1])
    await world.authorize(replicas[0])

    assert [(1, 1)] * 2 == [(lost(replica), followed(replica)) for replica in replicas]


async def test_one_installation_follows_one_lost_code_only(world: ProviderWorld) -> None:
    replica = await world.start()
    await lose(world, replica)
    world.suite_wecom.lose(EXCHANGE)
    await world.take(replica, world.suite_wecom.install(CHILD))
    await world.clock.advance(2 * SECOND)
    await world.authorize(replica)

    assert (2, 1) == (lost(replica), followed(replica))


async def test_an_installation_before_the_lost_one_does_not_follow_it(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    await world.authorize(replica, CHILD)
    await world.clock.advance(SECOND)
    await lose(world, replica)

    assert (1, 0) == (lost(replica), followed(replica))


async def test_a_corp_that_cancels_what_was_lost_and_installs_again_leaves_nothing_to_do(
    world: ProviderWorld,
) -> None:
    replicas = await world.fleet(2)
    await lose(world, replicas[0])
    corp_id = world.suite_wecom.corp_id(demo.PARENT)
    world.suite_wecom.cancel(demo.PARENT)
    await replicas[1].core.suites.cancellation.cancel(MARKET, corp_id, world.clock.now())
    await world.clock.advance(SECOND)
    assert [0, 0] == [lost(replica) for replica in replicas]

    await world.authorize(replicas[0])
    assert [(0, 0)] * 2 == [(lost(replica), followed(replica)) for replica in replicas]


async def test_a_corp_that_the_broker_knows_settles_no_other_ones_by_cancelling(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    found = await world.authorize(replica, CHILD)
    await lose(world, replica)
    for _ in range(2):  # WeCom may repeat it
        await replica.core.suites.cancellation.cancel(MARKET, found.corp_id, world.clock.now())
    await world.clock.advance(SECOND)

    assert 1 == lost(replica)


async def test_a_repeated_cancel_settles_one_lost_code(world: ProviderWorld) -> None:
    replica = await world.start()
    await lose(world, replica)
    world.suite_wecom.lose(EXCHANGE)
    await world.take(replica, world.suite_wecom.install(CHILD))
    await world.clock.advance(2 * SECOND)
    cancelled_at = world.clock.now()
    for _ in range(3):
        corp_id = world.suite_wecom.corp_id(demo.PARENT)
        await replica.core.suites.cancellation.cancel(MARKET, corp_id, cancelled_at)
    await world.clock.advance(SECOND)

    assert 1 == lost(replica)


async def test_another_secret_of_an_app_whose_code_was_lost_clears_it_at_once(world: ProviderWorld) -> None:
    replicas = await world.fleet(2)
    await lose(world, replicas[0], TAILORED)
    await world.take(replicas[0], world.suite_wecom.reset(demo.PARENT), TAILORED, is_reset=True)
    corp_id = world.suite_wecom.corp_id(demo.PARENT, "tailored")
    await world.until(replicas[0], TAILORED, corp_id, AuthorizationState.ACTIVE)
    await world.clock.advance(SECOND)

    assert [0, 0] == [lost(replica, TAILORED) for replica in replicas]


async def test_an_operator_acknowledges_lost_codes_for_the_fleet_and_for_good(world: ProviderWorld) -> None:
    replicas = await world.fleet(2)
    await lose(world, replicas[0])
    sent = world.suite_wecom.count(EXCHANGE)

    assert [1, 0] == [
        await world.run(replicas[1].core.suites.lost_codes.acknowledge("market")) for _ in range(2)
    ]
    await world.clock.advance(SECOND)
    late = await world.start()
    await world.clock.advance(5 * SECOND)

    assert [0, 0, 0] == [lost(replica) for replica in (*replicas, late)]
    [code] = late.core.installations.unfinished("market")
    assert code.is_settled
    assert sent == world.suite_wecom.count(EXCHANGE)
