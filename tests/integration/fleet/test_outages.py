"""Issue 2, point 4: what goes on when Redis or WeCom does not."""

import asyncio
import signal
import time
from collections.abc import Iterator
from itertools import count

import grpc
import pytest

from tests.integration.conftest import Figures, StartFleet
from tests.kit.processes.fleet import (
    CHILD_TOKEN,
    GETTOKEN,
    Fleet,
    Replica,
    child,
    refused,
    running_fleet,
    until,
)
from tests.kit.processes.load import steady_load
from tests.kit.time_bounds import check_took

COHERENT_WITHIN = 2.0
OFFLINE_FETCHES = 8

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def _lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    apps = [f"app-{number}" for number in range(9)]
    with running_fleet(tmp_path_factory.mktemp("outages"), 3, children=95, apps=apps) as fleet:
        yield fleet


@pytest.fixture
def fleet(_lasting: Fleet) -> Iterator[Fleet]:
    """Three replicas that this module treats badly, and brings back."""
    _lasting.wecom.forget_calls()
    yield _lasting
    _lasting.mend()


_numbers = count()


@pytest.fixture
def app() -> str:
    return f"app-{next(_numbers)}"


async def warm(replicas: list[Replica], corp_ids: list[str]) -> None:
    """Have every replica hold the tokens."""
    await asyncio.gather(*(replica.token(corp_id) for replica in replicas for corp_id in corp_ids))


async def coherent_again(replicas: list[Replica], corp_ids: list[str]) -> float:
    """Wait until all replicas hold the same generation of each token; return the seconds."""

    async def agree() -> bool:
        first, *others = [await replica.generations() for replica in replicas]
        return set(corp_ids) <= set(first) and all(first == other for other in others)

    return await until(agree)


async def test_redis_killed_under_load_fails_no_call_for_what_is_in_memory(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    warmed, cold = [child(number) for number in range(1, 6)], [child(number) for number in range(20, 40)]
    async with fleet.replicas(app) as replicas:
        await warm(replicas, ["", *warmed])
        fleet.wecom.forget_calls()
        fleet.wecom.fault("delay", CHILD_TOKEN, seconds=0.2)
        async with steady_load(replicas, warmed) as load:
            await until(lambda: load.calls > 50)
            fleet.redis.kill()
            began = time.monotonic()
            # Five callers each on every replica.
            await warm(replicas * 5, cold)
            cold_took = time.monotonic() - began
            after = load.calls
            await until(lambda: load.calls > after + 100)
            fleet.redis.start()
            took = await coherent_again(replicas, [*warmed, *cold])

    assert [] == load.refusals
    check_took(took, COHERENT_WITHIN)
    calls = fleet.wecom.calls()
    assert {CHILD_TOKEN} == set(calls), "parent and list are in memory"
    assert len(cold) <= calls[CHILD_TOKEN] <= len(cold) * len(replicas), (
        "each replica fetches each at most once"
    )
    assert fleet.wecom.most_in_flight(CHILD_TOKEN) <= OFFLINE_FETCHES * len(replicas)
    figures(
        warm_calls=load.calls,
        failed=0,
        slowest_warm_seconds=load.longest,
        cold_callers=len(cold) * len(replicas) * 5,
        upstream=calls[CHILD_TOKEN],
        bound=len(cold) * len(replicas),
        most_at_once=fleet.wecom.most_in_flight(CHILD_TOKEN),
        cold_seconds=cold_took,
        coherent_after_seconds=took,
    )


async def test_a_hung_redis_delays_no_call_for_what_is_in_memory(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    warmed, cold = [child(number) for number in range(1, 6)], [child(number) for number in range(20, 30)]
    async with fleet.replicas(app) as replicas:
        await warm(replicas, ["", *warmed])
        fleet.wecom.forget_calls()
        async with steady_load(replicas, warmed) as load:
            await until(lambda: load.calls > 50)
            fleet.redis.pause()
            began = time.monotonic()
            await warm(replicas * 5, cold)
            cold_took = time.monotonic() - began
            # Long enough for the subscription to be given up.
            await until(lambda: time.monotonic() - began > 4)
            slowest = load.longest_wait
            fleet.redis.resume()
            took = await coherent_again(replicas, [*warmed, *cold])

    assert [] == load.refusals
    check_took(slowest, 0.5, "a call that waits for Redis would take a second")
    check_took(took, COHERENT_WITHIN)
    calls = fleet.wecom.calls()
    assert {CHILD_TOKEN} == set(calls)
    assert len(cold) <= calls[CHILD_TOKEN] <= len(cold) * len(replicas)
    figures(
        warm_calls=load.calls,
        failed=0,
        slowest_warm_seconds=slowest,
        cold_callers=len(cold) * len(replicas) * 5,
        upstream=calls[CHILD_TOKEN],
        bound=len(cold) * len(replicas),
        cold_seconds=cold_took,
        coherent_after_seconds=took,
    )


async def test_a_redis_that_is_away_for_longer_than_tokens_live_leaves_every_child_served(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    corp_ids = [child(number) for number in range(1, 25)]
    fleet.wecom.control("POST", "settings", token_lifetime=4)
    async with fleet.replicas(app) as (replica, *_):
        first = await asyncio.gather(*(replica.token(corp_id) for corp_id in corp_ids))
        fleet.redis.kill()
        last = max(token.expire_time.ToNanoseconds() for token in first)
        await until(lambda: time.time_ns() > last)
        fleet.wecom.forget_calls()

        began = time.monotonic()
        second = await asyncio.gather(*(replica.token(corp_id, timeout=10) for corp_id in corp_ids))
        took = time.monotonic() - began

        assert not {token.value for token in first} & {token.value for token in second}
        calls = fleet.wecom.calls()
        assert {GETTOKEN: 1, CHILD_TOKEN: len(corp_ids)} == calls
        figures(children=len(corp_ids), upstream=f"1 + {calls[CHILD_TOKEN]}", seconds=took)


async def test_wecom_down_past_the_advisory_window_valid_tokens_are_served_to_the_end(
    start_fleet: StartFleet, figures: Figures
) -> None:
    fleet = start_fleet(2, children=1, token_lifetime=10)
    async with fleet.replicas() as replicas:
        await warm(replicas, [child(1)])
        token = await replicas[0].token(child(1))
        end = token.expire_time.ToNanoseconds() / 1e9
        fleet.wecom.fault("reset")
        async with steady_load(replicas, [child(1)], callers=4) as load:
            await until(lambda: time.time() > end + 1, pause=0.1)
        assert {token.value} == load.values
        assert [] == load.expired
        first_refusal = load.refusals[0][0]
        assert first_refusal >= end, "not before its last moment"
        assert {"WECOM_UNAVAILABLE"} == {seen.reason for _, seen in load.refusals}
        assert {grpc.StatusCode.UNAVAILABLE} == {seen.code for _, seen in load.refusals}
        assert all(seen.retry_seconds for _, seen in load.refusals), "RetryInfo"
        asked = sum(fleet.wecom.calls().values())

        told = (await refused(replicas[0].token(child(1)))).retry_seconds or 0
        fleet.wecom.mend()
        began = time.monotonic()

        async def works() -> bool:
            try:
                return bool((await replicas[0].token(child(1))).value != token.value)
            except grpc.aio.AioRpcError:
                return False

        await until(works, pause=0.1)
        took = time.monotonic() - began
    check_took(took, told + 2)
    figures(
        served=len(load.seconds),
        refused=len(load.refusals),
        first_refusal_seconds_after_expiry=first_refusal - end,
        upstream_attempts_meanwhile=asked,
        retry_seconds_told=told,
        works_again_after_seconds=took,
    )


async def test_a_wecom_that_hangs_costs_warm_callers_nothing(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    async with fleet.replicas(app) as replicas:
        await warm(replicas, [child(1)])
        fleet.wecom.send(signal.SIGSTOP)
        refresh = asyncio.ensure_future(replicas[0].refresh(child(1)))
        async with steady_load(replicas, [child(1)]) as load:
            await until(lambda: load.calls > 200)
        assert not refresh.done()
        fleet.wecom.send(signal.SIGCONT)
        assert (await refresh).rotated
    assert [] == load.refusals
    figures(warm_calls=load.calls, slowest_seconds=load.longest)
