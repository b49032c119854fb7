"""Engine rule 7: an outage is a share of many failing calls, and probes go through."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from broker.domain.errors import WecomUnavailable
from broker.domain.ports.rate_gate import CallScope
from broker.usecases.limits.circuit_breaker import (
    FEWEST_FAILURES,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST_BREAKERS,
    MOST_HELD,
    WINDOW,
    CircuitBreakers,
)
from tests.kit.memory.fake_clock import FakeClock, FixedRandomness

LOGIN = CallScope("crm", "ww-parent", "/cgi-bin/miniprogram/jscode2session", carries_code=True)
LIST = CallScope("crm", "ww-parent", "/cgi-bin/user/list")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breakers(clock: FakeClock) -> CircuitBreakers:
    return CircuitBreakers(clock, FixedRandomness())


def is_open(breakers: CircuitBreakers, scope: CallScope) -> bool:
    try:
        breakers.check(scope)
    except WecomUnavailable:
        return True
    return False


def fail(breakers: CircuitBreakers, scope: CallScope, times: int = FEWEST_FAILURES) -> None:
    for _ in range(times):
        breakers.failed(scope)


@pytest.mark.parametrize("failures", range(FEWEST_FAILURES))
def test_a_few_failures_are_no_outage(breakers: CircuitBreakers, failures: int) -> None:
    fail(breakers, LIST, failures)

    assert not is_open(breakers, LIST)


@pytest.mark.parametrize("failing_share", [0.01, 0.05, 0.3, 0.49])
def test_a_smaller_share_of_many_is_no_outage(breakers: CircuitBreakers, failing_share: float) -> None:
    for number in range(1000):
        failed = int((number + 1) * failing_share) > int(number * failing_share)
        (breakers.failed if failed else breakers.succeeded)(LIST)

        assert not is_open(breakers, LIST)


def test_where_most_fail_the_breaker_opens_and_says_how_long(breakers: CircuitBreakers) -> None:
    fail(breakers, LIST)

    with pytest.raises(WecomUnavailable) as refused:
        breakers.check(LIST)

    assert FIRST_PAUSE == refused.value.retry_after
    assert {"endpoint": LIST.endpoint} == refused.value.metadata


@pytest.mark.parametrize(
    "other", [{"app": "shop"}, {"corp_id": "ww-other"}, {"endpoint": "/cgi-bin/user/get"}]
)
def test_an_outage_is_of_one_app_corp_and_endpoint(breakers: CircuitBreakers, other: dict[str, str]) -> None:
    fail(breakers, LIST)

    assert not is_open(breakers, replace(LIST, **other))


async def test_failures_that_are_spread_over_time_are_no_outage(
    breakers: CircuitBreakers, clock: FakeClock
) -> None:
    for _ in range(5 * FEWEST_FAILURES):
        fail(breakers, LIST, 1)
        await clock.jump(WINDOW / 2)

    assert not is_open(breakers, LIST)


async def test_probes_go_out_less_and_less_often(breakers: CircuitBreakers, clock: FakeClock) -> None:
    fail(breakers, LIST)
    began, probes = clock.now(), []
    for _ in range(1000):
        if not is_open(breakers, LIST):
            probes.append(clock.now() - began)
            breakers.failed(LIST)
        await clock.jump(FIRST_PAUSE / 2)

    pauses = [later - earlier for earlier, later in zip([timedelta(0), *probes], probes, strict=False)]
    assert [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE] == pauses[:3]
    assert LONGEST_PAUSE == pauses[-1] == max(pauses)


async def test_one_probe_at_a_time(breakers: CircuitBreakers, clock: FakeClock) -> None:
    fail(breakers, LIST)
    await clock.jump(FIRST_PAUSE)

    assert [False, True, True] == [is_open(breakers, LIST) for _ in range(3)]


async def test_a_probe_that_succeeds_closes_the_breaker(breakers: CircuitBreakers, clock: FakeClock) -> None:
    fail(breakers, LIST)
    await clock.jump(FIRST_PAUSE)
    breakers.check(LIST)
    breakers.succeeded(LIST)

    assert [False] * 3 == [is_open(breakers, LIST) for _ in range(3)]
    fail(breakers, LIST, FEWEST_FAILURES - 1)
    assert not is_open(breakers, LIST)


async def test_a_call_with_a_code_is_sent_while_anything_succeeds(
    breakers: CircuitBreakers, clock: FakeClock
) -> None:
    breakers.succeeded(LOGIN)
    fail(breakers, LOGIN, 99)

    assert is_open(breakers, replace(LOGIN, carries_code=False))
    assert [False] * 50 == [is_open(breakers, LOGIN) for _ in range(50)]


def test_a_call_with_a_code_is_held_back_where_nothing_succeeds(breakers: CircuitBreakers) -> None:
    fail(breakers, LOGIN)

    assert is_open(breakers, LOGIN)


async def test_many_paths_that_nobody_calls_any_more_are_forgotten(
    breakers: CircuitBreakers, clock: FakeClock
) -> None:
    for number in range(MOST_BREAKERS):
        breakers.succeeded(replace(LIST, endpoint=f"/cgi-bin/{number}"))
    await clock.jump(2 * WINDOW)
    fail(breakers, LIST)

    assert 1 == len(breakers._breakers)
    assert is_open(breakers, LIST)


def test_breakers_are_bounded_however_many_paths_are_called_within_the_window(
    breakers: CircuitBreakers,
) -> None:
    for number in range(MOST_HELD + MOST_BREAKERS):
        breakers.succeeded(replace(LIST, endpoint=f"/cgi-bin/{number}"))
    fail(breakers, LIST)

    assert MOST_HELD // 2 < len(breakers._breakers) <= MOST_HELD
    assert is_open(breakers, LIST)


def test_a_corp_costs_no_more_where_ten_thousand_are_called_within_the_window(
    breakers: CircuitBreakers,
) -> None:
    def cost_of(corps: range) -> float:
        began = time.process_time()
        for number in corps:
            breakers.succeeded(replace(LIST, corp_id=f"ww{number}"))
        return (time.process_time() - began) / len(corps)

    few = cost_of(range(MOST_BREAKERS))

    assert cost_of(range(MOST_BREAKERS, 10 * MOST_BREAKERS)) < 20 * few
