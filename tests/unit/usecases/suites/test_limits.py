"""What WeCom says of one corp's calls, and what it means for the other corps of the suite."""

from datetime import timedelta

import pytest

from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, RateLimited, WecomUnavailable
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
