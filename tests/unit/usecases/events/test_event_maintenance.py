"""How the logs of events are looked after."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from broker.domain.errors import StoreUnavailable
from broker.telemetry.observer import Telemetry
from broker.usecases.events.maintenance import MEASURE_INTERVAL, EventMaintenance
from tests.kit.memory.fake_clock import settle
from tests.kit.memory.feed_world import APP, GROUP, KEEP, MAX_TRIES, FeedReplica, FeedWorld

TOO_MANY = 1000


@pytest.fixture
async def world() -> AsyncIterator[FeedWorld]:
    async with FeedWorld() as world:
        yield world


@pytest.fixture
async def replica(world: FeedWorld) -> FeedReplica:
    return await world.start()


@pytest.fixture
def telemetry(world: FeedWorld) -> Telemetry:
    return Telemetry(world.clock)


class NothingParked:
    """There is nothing to bring back."""

    async def bring_back(self) -> None:
        pass


@pytest.fixture
def keeping(world: FeedWorld, replica: FeedReplica, telemetry: Telemetry) -> EventMaintenance:
    return EventMaintenance([APP, "hr"], replica.log, NothingParked(), KEEP, world.clock, telemetry)


def figure(telemetry: Telemetry, name: str, app: str = APP, group: str = GROUP) -> float | None:
    return telemetry.metrics.registry.get_sample_value(f"wecom_broker_{name}", {"app": app, "group": group})


async def test_it_shows_how_far_each_group_is_behind(
    world: FeedWorld, replica: FeedReplica, keeping: EventMaintenance, telemetry: Telemetry
) -> None:
    subscriber = await replica.joins(max_in_flight=1)
    await world.append("a1 b1 c1")
    await world.clock.advance(timedelta(seconds=7))
    await keeping.look()
    assert (3, 7) == (figure(telemetry, "event_lag"), figure(telemetry, "event_lag_seconds"))
    await replica.feed.acknowledge(GROUP, subscriber.ids, [APP])
    await keeping.look()

    assert (2, 0) == (figure(telemetry, "event_lag"), figure(telemetry, "dead_events"))
    assert None is figure(telemetry, "event_lag", app="hr")


@pytest.mark.slow
async def test_events_that_are_too_old_are_removed_though_no_new_ones_come(
    world: FeedWorld, replica: FeedReplica, keeping: EventMaintenance, telemetry: Telemetry
) -> None:
    await replica.joins(max_in_flight=1)
    await world.append("a1")
    await world.append("a1", app="elsewhere")
    await world.clock.advance(KEEP.age - timedelta(seconds=1))
    await world.append("b1")
    await world.clock.advance(timedelta(seconds=2))
    await keeping.look()

    assert "b1" == " ".join(event.xml for event in await replica.log.read(APP, "", 9))
    assert (1, 2) == (figure(telemetry, "event_lag"), figure(telemetry, "event_lag_seconds"))
    assert 1 == len(await replica.log.read("elsewhere", "", 9))


async def test_it_shows_what_a_group_gave_up(
    world: FeedWorld, replica: FeedReplica, keeping: EventMaintenance, telemetry: Telemetry
) -> None:
    await world.append("a1")
    for _ in range(MAX_TRIES):
        await (await replica.joins()).leaves()
    await keeping.look()

    assert (0, 1) == (figure(telemetry, "event_lag"), figure(telemetry, "dead_events"))
    assert 0 == figure(telemetry, "event_lag_seconds")


async def test_a_group_that_nobody_uses_is_forgotten_and_shows_nothing(
    world: FeedWorld, replica: FeedReplica, keeping: EventMaintenance, telemetry: Telemetry
) -> None:
    await (await replica.joins()).leaves()
    await world.append("a1")
    await world.clock.advance(KEEP.age - timedelta(seconds=1))
    await keeping.look()
    assert 1 == figure(telemetry, "event_lag")
    await world.clock.advance(timedelta(seconds=1))
    await keeping.look()

    assert (None, None) == (figure(telemetry, "event_lag"), figure(telemetry, "event_lag_seconds"))
    assert [] == await replica.log.lags(APP)


async def test_a_group_that_is_listened_to_is_never_forgotten(
    world: FeedWorld, replica: FeedReplica, keeping: EventMaintenance
) -> None:
    subscriber = await replica.joins()
    # Suspended for as long, it looks once at the end; that it looks all the time has a test of its own.
    await world.clock.jump(KEEP.age + timedelta(minutes=1))
    await keeping.look()
    await world.append("a1")

    assert "a1" == subscriber.words


async def test_it_looks_every_few_seconds(world: FeedWorld, replica: FeedReplica) -> None:
    keeping = EventMaintenance([APP], replica.log, NothingParked(), KEEP, world.clock, replica.observer)  # type: ignore[arg-type]
    running = asyncio.create_task(keeping.run())
    await world.clock.advance(3 * MEASURE_INTERVAL)
    running.cancel()
    await settle()

    assert 4 == len(replica.observer.lags)


async def test_a_store_that_is_away_is_told_to_whoever_keeps_it_running(
    replica: FeedReplica, keeping: EventMaintenance
) -> None:
    replica.store.cut()

    with pytest.raises(StoreUnavailable):
        await keeping.look()


async def test_groups_that_a_caller_invents_do_not_flood_the_metrics(
    world: FeedWorld, replica: FeedReplica, keeping: EventMaintenance, telemetry: Telemetry
) -> None:
    await world.append("a1")
    for number in range(TOO_MANY):
        await (await replica.joins(f"orders/{number}")).leaves()
        await replica.feed.acknowledge(f"orders/other-{number}", [f"{APP}:1-1"], [APP])
    await keeping.look()

    lines = [
        line for line in b"".join(telemetry.metrics.exposition()).decode().splitlines() if "orders/" in line
    ]
    assert 3 * 100 == len(lines)


async def test_first_and_later_deliveries_are_counted_apart(telemetry: Telemetry) -> None:
    for attempts in (0, 1, 2):
        telemetry.event_delivered(APP, GROUP, attempts)

    counts = [
        telemetry.metrics.registry.get_sample_value(
            "wecom_broker_events_delivered_total", {"app": APP, "group": GROUP, "again": again}
        )
        for again in ("no", "yes")
    ]
    assert [1, 2] == counts
