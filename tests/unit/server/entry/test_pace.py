"""How fast the calls of one caller are begun."""

import pytest

from broker.domain.access import Caller, Limits
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import CallerLimited
from broker.server.grpc.entry.admission import (
    BURST,
    MOST_KEPT_BACK,
    PENALTY,
    REFUSALS_A_SECOND,
    REFUSALS_AT_ONCE,
    SLOWEST_PACE,
    WEIGHT,
    WEIGHT_OF_BODIES,
    Admission,
    weight_in,
)
from broker.server.grpc.entry.pace import Pace


def test_a_burst_is_begun_at_once_and_what_follows_evenly() -> None:
    pace = Pace(10, 3)

    assert [0, 0, 0] == [pace.wait(100.0) for _ in range(3)]
    assert pytest.approx([0.1, 0.2, 0.3]) == [pace.wait(100.0) for _ in range(3)]
    assert pytest.approx(0.0) == pace.wait(100.4)
    assert [0, 0, 0] == [pace.wait(200.0) for _ in range(3)]


def test_nobody_who_calls_evenly_ever_waits() -> None:
    pace = Pace(10, 3)

    assert {0} == {pace.wait(100 + 0.1 * number) for number in range(1000)}


class Door:
    def __init__(self, **limits: int) -> None:
        self.now = 1000.0
        self.orders, self.mail = (Caller(name, limits=Limits(**limits)) for name in ("orders", "mail"))
        self.admission = Admission(CallerPolicy((self.orders, self.mail)), lambda: self.now)

    def waits(self, caller: Caller, calls: int) -> list[float]:
        found = []
        for _ in range(calls):
            self.admission.enter(caller, stream=False)()
            found.append(self.admission.wait(caller))
        return found


def test_a_flood_of_one_caller_waits_and_another_one_does_not() -> None:
    door = Door()
    waits = door.waits(door.orders, BURST + 100)

    assert {0.0} == set(waits[:BURST])
    assert pytest.approx(100 / 1000) == waits[-1]
    assert [0.0] == door.waits(door.mail, 1)


def test_a_small_allowance_may_still_be_spent_in_a_moment() -> None:
    door = Door(calls_per_minute=60)

    assert door.waits(door.orders, 60)[-1] == pytest.approx((60 - BURST) / SLOWEST_PACE)


def test_large_requests_count_for_many() -> None:
    door = Door()
    door.waits(door.orders, 1)
    door.admission.weigh(door.orders, 1024 * 1024, WEIGHT)

    assert pytest.approx((1 + 1 + 1024 * 1024 / WEIGHT - BURST) / 1000) == door.waits(door.orders, 1)[0]


def test_a_body_is_expected_of_some_methods_and_weighs_less_there() -> None:
    assert WEIGHT_OF_BODIES == weight_in("CallApi")
    assert WEIGHT == weight_in("GetAccessToken")


def test_an_open_broker_keeps_nobody_waiting() -> None:
    admission, anybody = Admission(CallerPolicy(())), Caller("anyone")

    assert {0.0} == {admission.wait(anybody) for _ in range(1000)}


def test_refusals_are_kept_back_if_there_are_many_and_those_of_strangers_apart() -> None:
    door = Door()
    refusals = [door.admission.wait_of_refusal(None) for _ in range(REFUSALS_AT_ONCE + 100)]

    assert {0.0} == set(refusals[:REFUSALS_AT_ONCE])
    assert pytest.approx(1.0) == refusals[-1]
    assert 0.0 == door.admission.wait_of_refusal(door.orders)


def test_few_refusals_are_kept_back_at_once_and_a_flood_delays_none_for_longer_than_itself() -> None:
    door = Door()
    waits = [door.admission.wait_of_refusal(None) for _ in range(100_000)]

    assert MOST_KEPT_BACK - 1 <= sum(wait > 0 for wait in waits) <= MOST_KEPT_BACK + 1
    assert max(waits) <= MOST_KEPT_BACK / REFUSALS_A_SECOND
    door.now += MOST_KEPT_BACK / REFUSALS_A_SECOND + 1
    assert 0.0 == door.admission.wait_of_refusal(None)


def test_resets_use_up_no_turns_of_refusals() -> None:
    door = Door()
    for _ in range(REFUSALS_AT_ONCE):
        door.admission.wait_of_refusal(None)
    for _ in range(2 * MOST_KEPT_BACK):
        assert door.admission.wait_of_refusal(None) > 0, "none is sent at once to who has left"
        door.admission.forgo_refusal(None)

    assert pytest.approx(1 / REFUSALS_A_SECOND) == door.admission.wait_of_refusal(None)


def test_who_goes_on_asking_for_too_much_gets_a_tenth_until_its_refusals_are_over() -> None:
    door = Door(calls_at_once=0)
    with pytest.raises(CallerLimited):
        door.admission.enter(door.orders, stream=False)
    for _ in range(REFUSALS_AT_ONCE + 100):
        door.admission.wait_of_refusal(door.orders)
    waits = [door.admission.wait(door.orders) for _ in range(100)]

    assert pytest.approx(PENALTY / 1000) == waits[-1] - waits[-2]
    door.now += 60
    assert [0.0] * BURST == [door.admission.wait(door.orders) for _ in range(BURST)]
