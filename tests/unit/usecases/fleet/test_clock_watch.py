"""A replica whose machine has a wrong clock goes by the right time, with and without its store."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from broker.domain.errors import StoreUnavailable, WecomUnavailable
from broker.domain.replica.clocks import ClockComparison, Witness
from broker.usecases.fleet.clock_watch import ClockWatch
from tests.kit.memory.drifting_clock import DriftingClock, Machine
from tests.kit.memory.fake_clock import FakeClock

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
OFF = 10 * MINUTE
LATE_AND_EARLY = pytest.mark.parametrize("off", [OFF, -OFF], ids=["ahead", "behind"])


@dataclass
class Source:
    """A clock that can be asked: right, or off, or away."""

    world: FakeClock
    error: Exception
    off: timedelta = timedelta(0)
    away: bool = False
    asked: int = 0

    async def __call__(self) -> float:
        self.asked += 1
        if self.away:
            raise self.error
        return (self.world.now() + self.off).timestamp()


@dataclass
class Reports:
    comparisons: list[ClockComparison] = field(default_factory=list)

    def clocks_compared(self, comparison: ClockComparison) -> None:
        self.comparisons.append(comparison)


class Replica:
    """A machine, and the watch over its clock."""

    def __init__(self, off: timedelta = timedelta(0)) -> None:
        self.world = FakeClock()
        self.machine = Machine(self.world, off)
        self.clock = DriftingClock(self.machine)
        self.store = Source(self.world, StoreUnavailable("away"))
        self.wecom = Source(self.world, WecomUnavailable("away"))
        self.reports = Reports()
        observer: Any = self.reports
        asks = {Witness.STORE: self.store, Witness.WECOM: self.wecom}
        self.watch = ClockWatch(self.clock, asks, observer)
        self.running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.watch.settle()
        self.running = asyncio.create_task(self.watch.run())

    async def settle_down(self) -> None:
        """Let so much time pass as it takes to notice, and to ask."""
        await self.world.advance(45 * SECOND)

    @property
    def is_right(self) -> bool:
        return abs(self.clock.error) < SECOND

    @property
    def problem(self) -> str:
        return self.reports.comparisons[-1].problem


@pytest.fixture
def made() -> Iterator[list[Replica]]:
    replicas: list[Replica] = []
    yield replicas
    for replica in replicas:
        if replica.running:
            replica.running.cancel()


async def started(made: list[Replica], off: timedelta = timedelta(0)) -> Replica:
    replica = Replica(off)
    made.append(replica)
    await replica.start()
    return replica


@LATE_AND_EARLY
async def test_a_replica_that_starts_with_a_wrong_clock_has_the_right_time_before_it_fetches(
    made: list[Replica], off: timedelta
) -> None:
    replica = await started(made, off)

    assert replica.is_right
    assert "goes by the store's clock: this machine's is 600 s" in replica.problem


async def test_the_clocks_are_compared_without_a_word_to_wecom_while_they_agree(made: list[Replica]) -> None:
    replica = await started(made)
    await replica.world.advance(10 * MINUTE)

    assert replica.is_right
    assert 0 == replica.wecom.asked
    assert 20 <= replica.store.asked <= 22
    assert {""} == {comparison.problem for comparison in replica.reports.comparisons}


@LATE_AND_EARLY
async def test_a_step_of_the_machines_clock_while_the_store_is_away_changes_nothing_but_is_told(
    made: list[Replica], off: timedelta
) -> None:
    replica = await started(made)
    replica.store.away = True
    replica.machine.off = off
    await replica.settle_down()

    assert replica.is_right
    assert "goes by WeCom's clock: this machine's is 600 s" in replica.problem


async def test_a_suspended_machine_finds_the_time_again_though_no_connection_broke(
    made: list[Replica],
) -> None:
    replica = await started(made)
    replica.machine.suspend(OFF)
    await replica.world.jump(OFF)
    await replica.settle_down()

    assert replica.is_right
    assert "" == replica.problem


async def test_a_suspended_machine_finds_the_time_again_while_the_store_is_away(made: list[Replica]) -> None:
    replica = await started(made)
    replica.store.away = True
    replica.machine.suspend(OFF)
    await replica.world.jump(OFF)
    await replica.settle_down()

    assert replica.is_right


async def test_a_suspended_machine_whose_own_clock_stood_still_asks_wecom_again(made: list[Replica]) -> None:
    """A virtual machine that was paused: what WeCom said before must not outvote the store."""
    replica = await started(made)
    replica.clock.hear(Witness.WECOM, replica.world.now().timestamp())
    replica.machine.suspend(OFF)
    replica.machine.off = -OFF
    await replica.world.jump(OFF)
    await replica.settle_down()

    assert replica.is_right
    assert "this machine's is 600 s behind" in replica.problem


async def test_a_store_whose_clock_is_wrong_is_not_believed(made: list[Replica]) -> None:
    replica = Replica()
    replica.store.off = OFF
    made.append(replica)
    await replica.start()

    assert replica.is_right
    assert "this replica goes by this machine's clock: the store's is 600 s ahead" == replica.problem


@LATE_AND_EARLY
async def test_where_no_store_was_ever_heard_wecoms_answers_tell_the_time(
    made: list[Replica], off: timedelta
) -> None:
    replica = Replica(off)
    replica.store.away = True
    made.append(replica)
    await replica.start()
    replica.clock.hear(Witness.WECOM, replica.world.now().timestamp())
    await replica.settle_down()

    assert replica.is_right
    assert "goes by WeCom's clock" in replica.problem


async def test_nothing_changes_while_nobody_confirms_either_of_two_clocks(made: list[Replica]) -> None:
    replica = Replica(OFF)
    replica.wecom.away = True
    made.append(replica)
    await replica.start()

    assert OFF == replica.clock.error
    assert "a clock that nothing confirms" in replica.problem

    replica.wecom.away = False
    await replica.world.advance(2 * MINUTE)

    assert replica.is_right


async def test_a_doubt_that_lasts_is_put_to_wecom_once_a_minute(made: list[Replica]) -> None:
    replica = await started(made, OFF)
    replica.wecom.asked = 0
    await replica.world.advance(60 * MINUTE)

    assert 55 <= replica.wecom.asked <= 61


async def test_a_clock_that_was_put_right_is_told_too(made: list[Replica]) -> None:
    replica = await started(made, OFF)
    replica.machine.off = timedelta(0)
    await replica.settle_down()

    assert replica.is_right
    assert "" == replica.problem


async def test_a_clock_that_does_not_answer_ends_nothing(made: list[Replica]) -> None:
    replica = await started(made)
    replica.store.away = replica.wecom.away = True
    replica.machine.off = OFF
    with suppress(asyncio.CancelledError):
        await replica.settle_down()

    assert replica.is_right
    assert replica.running
    assert not replica.running.done()
