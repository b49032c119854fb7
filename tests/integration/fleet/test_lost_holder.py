"""Issue 2, point 2: a holder lost in mid-fetch delays the others by its lease, and harms nothing."""

import asyncio
import signal
import time

import pytest

from broker.simulator.demo import PARENT
from broker.usecases.fleet.leased_flight import LEASE
from tests.integration.conftest import Figures
from tests.kit.machine import busy
from tests.kit.processes.fleet import CHILD_TOKEN, GETTOKEN, LIST, Fleet, Replica, child, until
from tests.kit.time_bounds import check_took

WITHIN = LEASE.total_seconds() + 2

pytestmark = pytest.mark.slow


def own_token(app: str) -> str:
    """Return the name of the app's own credential."""
    return f"access_token:{app}:own:{PARENT.corpid}:{PARENT.agentid}"


async def sent(*replicas: Replica) -> None:
    """Return when the replicas have got what was sent before: answers on one connection prove it."""
    for replica in replicas:
        await replica.serving()


async def test_a_holder_killed_in_mid_fetch_keeps_the_others_waiting_for_its_lease_at_most(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    fleet.wecom.fault("hang", GETTOKEN, times=1)
    async with fleet.replicas(app) as (holder, *others):
        lost = asyncio.ensure_future(holder.token(child(1)))
        await until(lambda: fleet.wecom.in_flight(GETTOKEN) == 1)
        assert fleet.lease(own_token(app))
        waiting = [asyncio.ensure_future(others[turn % 2].token(child(1))) for turn in range(60)]
        await sent(*others)

        began = time.monotonic()
        fleet.brokers[0].send(signal.SIGKILL)
        async with busy() as machine:
            tokens = await asyncio.gather(*waiting)
        took = time.monotonic() - began - machine.seconds

        assert isinstance((await asyncio.gather(lost, return_exceptions=True))[0], Exception)
    check_took(took, WITHIN)
    assert 1 == len({token.value for token in tokens})
    assert {GETTOKEN: 2, LIST: 1, CHILD_TOKEN: 1} == fleet.wecom.calls(), (
        "the lost fetch, and one in its place"
    )
    figures(waiting_callers=60, seconds_after_the_kill=took, promised=WITHIN)


async def test_a_holder_stopped_past_its_lease_frees_nobodys_lease_and_overwrites_nothing(
    fleet: Fleet, app: str, figures: Figures
) -> None:
    fleet.wecom.fault("delay", GETTOKEN, seconds=1, times=1)
    async with fleet.replicas(app) as (holder, *others):
        late = asyncio.ensure_future(holder.token())
        await until(lambda: fleet.wecom.in_flight(GETTOKEN) == 1)
        fleet.brokers[0].send(signal.SIGSTOP)
        began = time.monotonic()
        async with busy() as machine:
            first = await others[0].token()
        took = time.monotonic() - began - machine.seconds
        check_took(took, WITHIN)
        assert int(fleet.record(own_token(app))[b"fence"]) == first.generation

        # Another lease is out, for a fetch that is slow, while the stopped one wakes up with its answer.
        fleet.wecom.fault("delay", GETTOKEN, seconds=2, times=1)
        refresh = asyncio.ensure_future(others[1].refresh())
        await until(lambda: fleet.lease(own_token(app)) is not None)
        owner, before = fleet.lease(own_token(app)), fleet.record(own_token(app))
        fleet.brokers[0].send(signal.SIGCONT)
        got = await late
        assert not refresh.done()
        assert owner == fleet.lease(own_token(app)), "the lease of the one who fetches now is untouched"
        assert before[b"fence"] == fleet.record(own_token(app))[b"fence"], "the late answer was dropped"
        assert before[b"payload"] == fleet.record(own_token(app))[b"payload"]
        assert first.value == got.value, "the late one serves what was fetched meanwhile"

        last = (await refresh).credential.generation
        assert last > first.generation
        assert last == int(fleet.record(own_token(app))[b"fence"])

        async def all_have_it() -> bool:
            return [{PARENT.corpid: last}] * 3 == [
                await replica.generations() for replica in (holder, *others)
            ]

        coherent = await until(all_have_it)
    assert {GETTOKEN: 3} == fleet.wecom.calls(), "the late one, the one in its place, the refresh"
    figures(seconds_until_taken_over=took, promised=WITHIN, seconds_until_all_replicas_agree=coherent)
