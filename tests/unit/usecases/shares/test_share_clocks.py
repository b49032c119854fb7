"""A listing that a clock dated ahead, which has been set right since, hides no change."""

from datetime import timedelta

import pytest

from broker.domain.corps import ShareKind
from broker.usecases.shares.reconciling import LOOK
from tests.kit.memory.engine_world import CHILD, CRM, EngineWorld, Replica
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.wecom import Endpoint, SimulatedWecom

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
GROUP = ShareKind.CORP_GROUP


@pytest.fixture
async def dated_ahead(world: EngineWorld, replica: Replica, wecom: SimulatedWecom) -> Replica:
    """A replica whose listing is of the next hour; the child has left since."""
    replica.clock.skew = HOUR
    await world.run(replica.shares.all(CRM))
    replica.clock.skew = timedelta(0)
    wecom.shares = []
    return replica


async def test_an_event_lists_anew(dated_ahead: Replica, clock: FakeClock, wecom: SimulatedWecom) -> None:
    dated_ahead.renewal.schedule(CRM, GROUP, clock.now())
    await clock.advance(SECOND)

    assert [] == dated_ahead.shares.held(CRM)
    assert 2 == wecom.count(Endpoint.SHARES)


async def test_an_operator_s_sync_lists_anew(world: EngineWorld, dated_ahead: Replica) -> None:
    changes = await world.run(dated_ahead.lister.sync(CRM))

    assert [CHILD.corp_id] == [share.corp_id for share in changes.removed]


async def test_the_periodic_comparison_lists_anew(dated_ahead: Replica, clock: FakeClock) -> None:
    dated_ahead.tasks.keep_running("reconciling shares", dated_ahead.sharing.reconciliation.run)
    await clock.advance(LOOK + SECOND)

    assert [] == dated_ahead.shares.held(CRM)


async def test_an_unknown_child_is_looked_for(
    world: EngineWorld, dated_ahead: Replica, wecom: SimulatedWecom
) -> None:
    await world.run(dated_ahead.shares.find(CRM, "ww-unknown", GROUP))

    assert 2 == wecom.count(Endpoint.SHARES)
