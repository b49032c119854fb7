"""Each value that WeCom gives is one record, on the replica that fetched it."""

from broker.domain.audit import AuditOutcome, AuditTarget
from broker.domain.errors import BrokerError, WecomUnavailable
from broker.simulator.world.tokens import Habit
from tests.kit.memory.engine_world import CHILD, OWN, EngineWorld, Replica, outcome
from tests.kit.memory.wecom import Endpoint, SimulatedWecom


async def test_a_rotation_is_recorded_once_for_the_fleet(world: EngineWorld) -> None:
    one, other = await world.fleet(2)
    found = await world.run(one.engine.get(OWN))
    await world.run(other.engine.get(OWN))

    (record,) = one.trail.records + other.trail.records
    assert (AuditOutcome.ROTATED, "", "broker") == (record.outcome, record.caller, record.peer)
    assert (AuditTarget.of(OWN), found.generation, found.value.fingerprint()) == (
        record.target,
        record.generation,
        record.fingerprint,
    )
    assert found.value.reveal() not in str(record)


async def test_a_child_s_rotation_is_one_and_its_parent_s_another(
    world: EngineWorld, replica: Replica
) -> None:
    await world.run(replica.engine.get(CHILD))

    assert [OWN.corp_id, CHILD.corp_id] == [record.target.corp_id for record in replica.trail.records]


async def test_a_value_that_wecom_repeats_is_no_rotation(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.habit = Habit.SAME_VALUE_FULL_LIFETIME
    first = await world.run(replica.engine.get(OWN))
    await world.run(replica.engine.refresh(OWN))

    assert [first.generation] == [record.generation for record in replica.trail.records]


async def test_a_fetch_that_fails_is_no_rotation(
    world: EngineWorld, replica: Replica, wecom: SimulatedWecom
) -> None:
    wecom.fail(Endpoint.APP_TOKEN, lambda: WecomUnavailable("WeCom is busy"))
    assert isinstance(await world.run(outcome(replica.engine.get(OWN))), BrokerError)

    assert [] == replica.trail.records
