"""The last problems of a replica: fifty that differ, however often each came."""

from datetime import timedelta

from broker.telemetry.recent_problems import LATELY, LONGEST, MOST, ProblemKind, RecentProblems
from tests.kit.memory.fake_clock import FakeClock, SkewedClock


async def test_a_repeat_counts_and_comes_to_the_front() -> None:
    clock = FakeClock()
    problems = RecentProblems(clock)
    problems.note(ProblemKind.CALLBACK, "crm", "signature")
    began = clock.now()
    problems.note(ProblemKind.STORE, "", "gone")
    await clock.advance(timedelta(seconds=9))
    problems.note(ProblemKind.CALLBACK, "crm", "signature", 4)

    first, second = problems.newest()
    assert ("crm", 5, began, clock.now()) == (first.subject, first.count, first.first_at, first.last_at)
    assert "gone" == second.detail


def test_they_are_bounded_in_number_and_length() -> None:
    problems = RecentProblems(FakeClock())
    for number in range(10 * MOST):
        problems.note(ProblemKind.CALLER, f"caller-{number}", "x" * 10_000)

    found = problems.newest()
    assert [f"caller-{10 * MOST - 1 - back}" for back in range(MOST)] == [each.subject for each in found]
    assert {LONGEST} == {len(each.detail) for each in found}


async def test_what_came_back_no_more_for_a_quarter_of_an_hour_is_counted_anew() -> None:
    clock = FakeClock()
    problems = RecentProblems(clock)
    for _ in range(4):
        problems.note(ProblemKind.CALLBACK, "crm", "signature")
        await clock.jump(LATELY)
    problems.note(ProblemKind.CALLBACK, "crm", "signature")

    [found] = problems.newest()
    assert (1, clock.now(), clock.now()) == (found.count, found.first_at, found.last_at)


def test_after_a_clock_was_set_back_nothing_began_in_the_future() -> None:
    clock = SkewedClock(FakeClock())
    problems = RecentProblems(clock)
    problems.note(ProblemKind.CALLBACK, "crm", "signature", 3)
    problems.note(ProblemKind.CALLBACK, "crm", "timestamp", 3)
    clock.skew = -timedelta(seconds=9)
    problems.note(ProblemKind.CALLBACK, "crm", "signature")
    clock.skew = -timedelta(hours=4)
    problems.note(ProblemKind.CALLBACK, "crm", "timestamp")

    far, near = problems.newest()
    assert (1, clock.now(), clock.now()) == (far.count, far.first_at, far.last_at)
    assert (4, near.last_at) == (near.count, near.first_at)
