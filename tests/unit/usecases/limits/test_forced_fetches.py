"""Fetches that a caller forces although the broker holds something valid: counted and bounded."""

from datetime import timedelta

import pytest

from broker.domain.credentials import CredentialKey, CredentialKind
from broker.domain.errors import BrokerError, CallerLimited
from broker.simulator.world.tokens import Habit
from broker.usecases.credentials.reports import ReportOutcome
from tests.kit.memory.engine_world import CHILD, LIFETIME, OWN, OWN_TARGET, EngineWorld, Replica, outcome
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.wecom import SimulatedWecom

LIMIT = 3
MINUTE, MOMENT = timedelta(minutes=1), timedelta(milliseconds=10)


@pytest.fixture
async def fleet(world: EngineWorld) -> list[Replica]:
    world.core_options["forced_limit"] = {"orders": LIMIT, "mail": LIMIT}.get
    fleet = await world.fleet(2)
    for key in (OWN, CHILD):
        for replica in fleet:
            await world.run(replica.engine.get(key))
    await world.clock.jump(MINUTE)
    return fleet


async def forced(world: EngineWorld, replica: Replica, key: CredentialKey, by: str) -> BrokerError | bool:
    await world.clock.jump(MOMENT)  # else a fetch of the same moment is new enough
    result = await world.run(outcome(replica.engine.refresh(key, by)))
    return result if isinstance(result, BrokerError) else True


async def test_a_caller_forces_no_more_than_its_limit_over_the_fleet_until_the_minute_ends(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    before = wecom.count()
    results = [await forced(world, fleet[turn % 2], OWN, "orders") for turn in range(20)]

    assert LIMIT == results.count(True) == wecom.count() - before
    error = next(result for result in results if isinstance(result, CallerLimited))
    assert "forced_per_minute" == error.metadata["limit"]
    assert error.retry_after
    assert error.retry_after <= MINUTE
    assert await forced(world, fleet[0], OWN, "mail") is True
    await clock.jump(error.retry_after)
    assert await forced(world, fleet[1], OWN, "orders") is True
    counted = fleet[0].witness.forced + fleet[1].witness.forced
    assert LIMIT + 1 == counted.count("orders"), "those that were refused are not counted"


async def test_without_the_store_each_replica_counts_its_own(
    world: EngineWorld, fleet: list[Replica]
) -> None:
    for replica in fleet:
        replica.store.away = True
    results = [await forced(world, fleet[0], OWN, "orders") for _ in range(10)]

    assert LIMIT >= results.count(True)
    assert isinstance(results[-1], CallerLimited)


async def test_what_the_broker_finds_out_itself_and_an_open_broker_have_no_limit(
    world: EngineWorld, fleet: list[Replica]
) -> None:
    for by in ("", "anyone"):
        assert [True] * 10 == [await forced(world, fleet[0], OWN, by) for _ in range(10)]


async def test_reports_that_fetch_nothing_cost_nothing(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom
) -> None:
    replica = fleet[0]
    token = await world.run(replica.engine.get(OWN))
    first, rotated = await world.run(replica.tokens.report(OWN_TARGET, token.generation, 40014, "orders"))
    for _ in range(10):
        old, _ = await world.run(replica.tokens.report(OWN_TARGET, token.generation, 40014, "orders"))
        again, _ = await world.run(replica.tokens.report(OWN_TARGET, rotated.generation, 40014, "orders"))
        assert (ReportOutcome.ALREADY_ROTATED, ReportOutcome.COOLING_DOWN) == (old, again)

    assert ReportOutcome.ROTATED is first
    assert [True] * (LIMIT - 1) == [await forced(world, replica, CHILD, "orders") for _ in range(LIMIT - 1)]
    assert isinstance(await forced(world, replica, CHILD, "orders"), CallerLimited)


async def test_a_report_over_the_limit_is_refused_costs_no_cooldown_and_leaves_the_token_to_be_had(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom
) -> None:
    replica = fleet[0]
    for _ in range(LIMIT):
        await forced(world, replica, CHILD, "orders")
    token = await world.run(replica.engine.get(OWN))
    error = await world.run(outcome(replica.tokens.report(OWN_TARGET, token.generation, 40014, "orders")))

    assert isinstance(error, CallerLimited)
    assert token == await world.run(replica.tokens.get(OWN_TARGET))
    result, _ = await world.run(replica.tokens.report(OWN_TARGET, token.generation, 40014, "mail"))
    assert ReportOutcome.ROTATED is result


async def test_min_ttl_forces_no_more_fetches_than_the_limit_and_then_brings_what_is_held(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    before, fetched = wecom.count(), 0
    for _ in range(5):
        await clock.jump(timedelta(seconds=11))
        for replica in fleet:
            for _ in range(5):
                token = await world.run(
                    replica.tokens.get(OWN_TARGET, LIFETIME - timedelta(seconds=10), "orders")
                )
                assert token.is_valid(clock.now())
    fetched = wecom.count() - before

    assert 1 <= fetched <= 2 * LIMIT


async def test_min_ttl_fetches_nothing_where_wecom_repeats_the_value(
    world: EngineWorld, fleet: list[Replica], wecom: SimulatedWecom, clock: FakeClock
) -> None:
    wecom.habit = Habit.SAME_VALUE_REMAINING
    await world.run(fleet[0].engine.refresh(OWN))
    before = wecom.count()
    for _ in range(20):
        await clock.jump(timedelta(seconds=11))
        await world.run(fleet[0].tokens.get(OWN_TARGET, LIFETIME - timedelta(seconds=10)))

    assert 1 >= wecom.count() - before


async def test_whose_reports_used_up_tickets_is_known_on_every_replica(
    world: EngineWorld, fleet: list[Replica], clock: FakeClock
) -> None:
    for kind in (CredentialKind.CORP_TICKET, CredentialKind.AGENT_TICKET):
        await world.run(fleet[0].engine.get(OWN.of_kind(kind)))
    for replica, kind, caller in (
        (fleet[0], CredentialKind.AGENT_TICKET, "orders"),
        (fleet[1], CredentialKind.CORP_TICKET, "orders"),
        (fleet[1], CredentialKind.AGENT_TICKET, "mail"),
        (fleet[1], CredentialKind.ACCESS_TOKEN, "mail"),
    ):
        await clock.jump(MINUTE)
        assert await forced(world, replica, OWN.of_kind(kind), caller) is True

    callers = ["mail", "orders", "hr"]
    for replica in fleet:
        for agent_id in (OWN.agent_id, 0):
            found = await replica.core.forced.of_tickets(OWN.corp_id, agent_id, callers)
            assert {"orders": 2, "mail": 1} == found
    await clock.jump(2 * 60 * MINUTE)
    assert {} == await fleet[0].core.forced.of_tickets(OWN.corp_id, 0, callers)
