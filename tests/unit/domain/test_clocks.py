"""Whose clock is believed, of those that a replica hears."""

from datetime import timedelta

import pytest

from broker.domain.replica.clocks import MAX_CLOCK_OFFSET, ClockComparison, Told, Witness, trusted

MACHINE, STORE, WECOM = Witness.MACHINE, Witness.STORE, Witness.WECOM
RIGHT, WRONG = timedelta(0), timedelta(minutes=10)


def told(machine: timedelta, store: timedelta | None = None, wecom: timedelta | None = None) -> Told:
    heard = {MACHINE: machine, STORE: store, WECOM: wecom}
    return {witness: ahead for witness, ahead in heard.items() if ahead is not None}


@pytest.mark.parametrize(
    ("machine", "store", "wecom", "expected"),
    [
        (RIGHT, RIGHT, RIGHT, STORE),
        (WRONG, RIGHT, RIGHT, STORE),
        (RIGHT, WRONG, RIGHT, MACHINE),
        (RIGHT, RIGHT, WRONG, STORE),
        (RIGHT, RIGHT, None, STORE),
        (WRONG, RIGHT, None, None),
        (RIGHT, None, RIGHT, MACHINE),
        (WRONG, None, RIGHT, WECOM),
        (RIGHT, None, None, None),
    ],
)
def test_two_clocks_that_agree_are_believed_the_stores_first(
    machine: timedelta, store: timedelta | None, wecom: timedelta | None, expected: Witness | None
) -> None:
    assert expected is trusted(told(machine, store, wecom))


def test_if_no_two_agree_all_replicas_take_the_clock_that_all_of_them_hear() -> None:
    assert WECOM is trusted(told(-WRONG, RIGHT, WRONG))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_minute_apart_still_agrees(sign: int) -> None:
    more = timedelta(seconds=1)

    assert STORE is trusted(told(RIGHT, MAX_CLOCK_OFFSET * sign))
    assert trusted(told(RIGHT, (MAX_CLOCK_OFFSET + more) * sign)) is None


def test_the_problem_names_what_is_wrong_and_what_the_replica_goes_by() -> None:
    assert "" == ClockComparison(told(RIGHT, RIGHT, RIGHT)).problem
    assert (
        "this replica goes by the store's clock: this machine's is 600 s behind"
        == ClockComparison(told(-WRONG, RIGHT, RIGHT)).problem
    )
    unconfirmed = ClockComparison(told(RIGHT, WRONG)).problem
    assert "this replica goes by a clock that nothing confirms: the store's is 600 s ahead" == unconfirmed
