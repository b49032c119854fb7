"""What WeCom says of one corp's calls, and what it means for the other corps of the suite."""

from datetime import timedelta

import pytest

from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, CallerLimited, CorpNotAuthorized, RateLimited, WecomUnavailable
from broker.domain.suites.authorization import Authorization
from broker.simulator import provider_demo as demo
from tests.kit.memory.engine_world import outcome
from tests.kit.memory.provider_world import SECOND, ProviderWorld
from tests.kit.memory.suite_wecom import AUTH_INFO, CORP_TOKEN


def key_of(found: Authorization) -> CredentialKey:
    """Return the key of the corp's token."""
    return CredentialKey(found.suite, found.corp_id, found.agent_id)


async def test_a_limit_that_one_corp_hits_leaves_the_other_corps_alone(world: ProviderWorld) -> None:
    replica = await world.start()
    await world.push(replica)
    first = await world.authorize(replica, demo.child(1))
    other = await world.authorize(replica, demo.child(2))
    await world.clock.advance(timedelta(hours=2, minutes=1))
    await world.push(replica)
    world.suite_wecom.fail(CORP_TOKEN, lambda: RateLimited("WeCom's limit", errcode=45009))

    assert isinstance(await outcome(world.run(replica.engine.get(key_of(first)))), RateLimited)
    assert (await world.run(replica.engine.get(key_of(other)))).value


async def test_a_caller_has_authorisations_read_only_so_often_over_the_fleet(world: ProviderWorld) -> None:
    world.core_options["forced_limit"] = {"orders": 3, "mail": 3}.get
    fleet = await world.fleet(2)
    await world.push(fleet[0])
    found = await world.authorize(fleet[0])
    before = world.suite_wecom.calls.count(AUTH_INFO)
    results = [
        await outcome(
            world.run(fleet[turn % 2].core.suites.overview.refresh("market", found.corp_id, "orders"))
        )
        for turn in range(10)
    ]

    assert [CallerLimited] * 7 == [type(result) for result in results[3:]]
    assert 3 == world.suite_wecom.calls.count(AUTH_INFO) - before
    refresh = fleet[0].core.suites.overview.refresh
    assert isinstance(await outcome(refresh("market", "wp-made-up", "mail")), CorpNotAuthorized)
    for _ in range(3):
        assert (await world.run(refresh("market", found.corp_id, "mail"))).state


@pytest.mark.parametrize("error", [RateLimited, WecomUnavailable])
async def test_a_corp_that_cannot_be_read_leaves_the_other_corps_alone(
    world: ProviderWorld, error: type[BrokerError]
) -> None:
    replica = await world.start()
    await world.push(replica)
    first = await world.authorize(replica, demo.child(1))
    other = await world.authorize(replica, demo.child(2))
    overview = replica.core.suites.overview
    for _ in range(10):
        world.suite_wecom.fail(AUTH_INFO, lambda: error("not now", errcode=45009))
        assert isinstance(await outcome(world.run(overview.refresh("market", first.corp_id))), error)
        world.suite_wecom.recover()
        await world.clock.advance(SECOND / 10)

    assert "active" == (await world.run(overview.refresh("market", other.corp_id))).state
