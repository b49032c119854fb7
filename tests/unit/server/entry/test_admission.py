"""The limits of each caller: calls a minute, calls at once, streams."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from broker.domain.access import ANYONE, Caller, Limits
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import CallerLimited
from broker.server.grpc.entry.admission import Admission


class Door:
    """An admission with a clock of the test's."""

    def __init__(self, *callers: Caller) -> None:
        self.now = 1000.0
        self.policy = CallerPolicy(callers)
        self.admission = Admission(self.policy, lambda: self.now)

    def enter(self, name: str, *, stream: bool = False) -> Callable[[], None]:
        return self.admission.enter(self.policy.named(name) or Caller(name), stream=stream)

    def refused(self, name: str, *, stream: bool = False) -> tuple[str, timedelta | None]:
        with pytest.raises(CallerLimited) as refused:
            self.enter(name, stream=stream)
        assert name == refused.value.metadata["caller"]
        return refused.value.metadata["limit"], refused.value.retry_after


def test_a_minute_s_calls_may_come_at_once_and_come_back_evenly() -> None:
    door = Door(Caller("orders", limits=Limits(calls_per_minute=60)))
    for _ in range(60):
        door.enter("orders")()

    assert ("calls_per_minute", timedelta(seconds=1.001)) == door.refused("orders")
    door.now += 0.5
    assert ("calls_per_minute", timedelta(seconds=0.501)) == door.refused("orders")
    door.now += 0.5
    door.enter("orders")()
    assert "calls_per_minute" == door.refused("orders")[0]
    door.now += 3600
    for _ in range(60):
        door.enter("orders")()
    assert "calls_per_minute" == door.refused("orders")[0]


def test_the_time_that_a_refusal_tells_is_enough() -> None:
    door = Door(Caller("orders", limits=Limits(calls_per_minute=7)))
    for _ in range(7):
        door.enter("orders")()
    for _ in range(50):
        _, retry_after = door.refused("orders")
        assert retry_after
        door.now += retry_after.total_seconds()
        door.enter("orders")()


def test_a_refused_call_costs_nothing() -> None:
    door = Door(Caller("orders", limits=Limits(calls_per_minute=1)))
    door.enter("orders")()
    for _ in range(100):
        door.refused("orders")
    door.now += 60
    door.enter("orders")()


def test_a_limit_of_nothing_lets_nobody_in() -> None:
    door = Door(Caller("orders", limits=Limits(calls_per_minute=0)))

    assert ("calls_per_minute", timedelta(minutes=1)) == door.refused("orders")


@pytest.mark.parametrize("stream", [False, True])
def test_so_many_at_once_and_no_more(stream: bool) -> None:
    limits = Limits(streams=3) if stream else Limits(calls_at_once=3)
    door = Door(Caller("orders", limits=limits))
    leave = [door.enter("orders", stream=stream) for _ in range(3)]

    assert ("streams" if stream else "calls_at_once") == door.refused("orders", stream=stream)[0]
    door.enter("orders", stream=not stream)
    leave.pop()()
    leave.append(door.enter("orders", stream=stream))
    door.refused("orders", stream=stream)


def test_callers_do_not_share_their_limits() -> None:
    door = Door(
        Caller("orders", limits=Limits(calls_per_minute=1)),
        Caller("hr", limits=Limits(calls_per_minute=1)),
    )
    door.enter("orders")
    door.refused("orders")
    door.enter("hr")


def test_an_open_broker_has_no_limits() -> None:
    door = Door()
    for _ in range(Limits().calls_per_minute + 10):
        door.admission.enter(ANYONE, stream=False)


def test_a_reload_changes_limits_and_forgives_nothing() -> None:
    door = Door(Caller("orders", limits=Limits(calls_per_minute=10, streams=1)))
    leave = door.enter("orders", stream=True)
    door.refused("orders", stream=True)

    door.policy.replace((Caller("orders", limits=Limits(calls_per_minute=10, streams=2)),))
    door.enter("orders", stream=True)
    door.refused("orders", stream=True)
    leave()
    door.enter("orders", stream=True)

    door.policy.replace(())
    door.enter("anyone")
    door.policy.replace((Caller("orders", limits=Limits(streams=1)),))
    door.enter("orders", stream=True)
    assert "streams" == door.refused("orders", stream=True)[0]


def test_calls_are_reported_by_caller_and_only_once() -> None:
    door = Door(Caller("orders", limits=Limits(calls_per_minute=3)), Caller("mail"))
    for name in ("orders", "mail", "orders", "orders"):
        door.enter(name)()
    door.refused("orders")
    passes = door.admission.turnstile(door.policy.named("mail") or ANYONE)
    assert passes()
    reports: list[dict[str, int]] = [{}, {}]
    for report in reports:
        door.admission.report(report.__setitem__)

    assert [{"orders": 3, "mail": 2}, {"orders": 0, "mail": 0}] == reports
