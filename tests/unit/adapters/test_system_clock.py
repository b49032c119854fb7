"""`SystemClock` and `SystemRandomness`: the fleet's time, and a spread with bounds."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.adapters.system import SystemClock, SystemRandomness
from broker.domain.replica.clocks import Witness

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
A_MOMENT = timedelta(seconds=1)


def test_its_time_is_aware_and_that_of_the_machine() -> None:
    now = SystemClock().now()

    assert UTC is now.tzinfo
    assert abs(datetime.now(UTC) - now) < A_MOMENT


def test_it_never_goes_back() -> None:
    clock = SystemClock()
    moments = [clock.now() for _ in range(10_000)]

    assert sorted(moments) == moments


def test_a_step_of_the_machines_clock_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before = clock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert timedelta(0) <= clock.now() - before < A_MOMENT


@pytest.mark.parametrize("off", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=400)])
def test_it_takes_over_the_fleets_time_and_says_how_far_it_was_off(off: timedelta) -> None:
    clock = SystemClock()
    fleet = datetime.now(UTC) + off
    correction = clock.set_fleet_time(fleet.timestamp())

    assert abs(correction - off) < A_MOMENT
    assert timedelta(0) <= clock.now() - fleet < A_MOMENT


def test_a_second_correction_starts_from_the_first() -> None:
    clock = SystemClock()
    clock.set_fleet_time(2_000_000_000.0)

    assert abs(clock.set_fleet_time(2_000_000_000.0)) < A_MOMENT


def test_two_machines_agree_after_they_asked_the_fleet() -> None:
    one, other = SystemClock(), SystemClock()
    one.set_fleet_time(1_000_000_000.0)
    other.set_fleet_time(3_000_000_000.0)
    other.set_fleet_time(one.now().timestamp())

    assert abs(one.now() - other.now()) < A_MOMENT


@pytest.mark.parametrize(
    ("ahead", "correction"), [(0.0, 0.0), (2.0, 0.0), (3.0, 0.0), (5.0, 2.0), (-1.0, -1.0), (-30.0, -30.0)]
)
async def test_an_answer_that_came_late_sets_it_no_further_than_it_proves(
    ahead: float, correction: float
) -> None:
    passed, late = 100.0, 3.0
    clock = SystemClock(lambda: 1_000_000 + passed, lambda: passed)

    async def answer() -> float:
        nonlocal passed
        said = clock.seconds() + ahead
        passed += late
        return said

    await clock.ask(Witness.STORE, answer)

    assert correction == clock.seconds() - 1_000_000 - passed


async def test_it_sleeps_that_long() -> None:
    clock = SystemClock()
    began = clock.now()
    await clock.sleep(timedelta(milliseconds=20))

    assert timedelta(milliseconds=19) <= clock.now() - began


@unhurried
@given(
    duration=st.timedeltas(timedelta(0), timedelta(days=30)),
    spread=st.floats(0, 1),
)
def test_jitter_stays_within_its_spread(duration: timedelta, spread: float) -> None:
    grain = timedelta(microseconds=1)
    jittered = SystemRandomness().jitter(duration, spread)

    assert duration * (1 - spread) - grain <= jittered <= duration * (1 + spread) + grain


def test_jitter_spreads() -> None:
    randomness = SystemRandomness()
    values = [randomness.jitter(timedelta(seconds=100)) for _ in range(200)]

    assert timedelta(seconds=80) <= min(values) < timedelta(seconds=95)
    assert timedelta(seconds=105) < max(values) <= timedelta(seconds=120)


def test_no_spread_is_no_jitter() -> None:
    assert timedelta(seconds=5) == SystemRandomness().jitter(timedelta(seconds=5), 0)
