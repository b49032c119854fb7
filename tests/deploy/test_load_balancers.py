"""Each load balancer of `deploy/`, by the real program, before two brokers, one of which is killed."""

import asyncio
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

import aiohttp
import grpc.aio
import pytest
from wecom_broker.v1 import token_service_pb2 as pb

from tests.deploy.balancers import BALANCERS, Balancer, Ports, moved, running_balancer
from tests.deploy.files import DEPLOY
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import Fleet, Replica, connect, running_fleet, target, until
from tests.kit.processes.load import steady_load

CALLERS, WATCHES = 8, 8
MANY_WATCHES = 300
"""Of one client, in one connection: haproxy allows 100 unless it is told otherwise."""
BROKEN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
"""What a dead broker leaves behind: balancers answer 502 or 503, reset the stream, or just end it."""

Watch: TypeAlias = "grpc.aio.UnaryStreamCall[pb.WatchAccessTokenRequest, pb.WatchAccessTokenResponse]"


@pytest.fixture(params=BALANCERS.values(), ids=BALANCERS)
def balancer(request: pytest.FixtureRequest) -> Balancer:
    found: Balancer = request.param
    found.program()
    return found


@contextmanager
def balanced(balancer: Balancer, folder: Path) -> Iterator[tuple[Fleet, Ports]]:
    with ExitStack() as stack:
        fleet = stack.enter_context(running_fleet(folder, 2, children=10))
        ports, _ = stack.enter_context(running_balancer(balancer, fleet.brokers, folder / "balancer"))
        yield fleet, ports


async def test_its_own_check_accepts_the_file(balancer: Balancer, tmp_path: Path) -> None:
    path, _ = moved(balancer, (), tmp_path)
    path.write_text(re.sub(r"(address: )?broker-\d(?=[:,])", r"\g<1>127.0.0.1", path.read_text()))
    checked = await asyncio.to_thread(
        subprocess.run, balancer.command(balancer.check, path), capture_output=True, text=True, check=False
    )

    assert 0 == checked.returncode, checked.stderr


@pytest.mark.slow
async def test_a_killed_broker_costs_no_more_than_the_calls_that_it_was_answering(
    balancer: Balancer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with balanced(balancer, tmp_path) as (fleet, ports):
        async with connect(ports.grpc) as (client,):
            await until(lambda: _shared(fleet, client))
            async with steady_load([client], [""], callers=CALLERS, pause=0.01) as load:
                await until(lambda: load.calls > 200)
                assert not load.refusals
                fleet.brokers[0].kill()
                killed_at = load.calls
                await until(lambda: load.calls > killed_at + 400)
                first = len(load.refusals)
                assert first <= CALLERS, Counter(found.message for _, found in load.refusals)
                assert {found.code for _, found in load.refusals} <= BROKEN
                await until(lambda: load.calls > killed_at + 1200)
                assert first == len(load.refusals), "the dead broker is known by now"
            record_property("figures", f"{balancer.name} in front of a killed broker: {first} calls lost")
            await _restarted(fleet)
            await until(lambda: _shared(fleet, client))


@pytest.mark.slow
async def test_watches_of_a_killed_broker_break_and_open_again_at_the_other(
    balancer: Balancer, tmp_path: Path
) -> None:
    with balanced(balancer, tmp_path) as (fleet, ports):
        async with connect(ports.grpc) as (client,):
            await until(lambda: _shared(fleet, client))
            held = await client.token()
            watches: list[Watch] = []

            async def both_have_some() -> bool:
                watches.append(_watch(client))
                assert held.value == (await watches[-1].read()).token.value
                return len(watches) >= WATCHES and all(_watchers(broker) for broker in fleet.brokers)

            await until(both_have_some)
            fleet.brokers[0].kill()

            reads = [asyncio.create_task(watch.read()) for watch in watches]
            # nginx 1.22 may tell with the next frame on the connection: a call, or a ping.
            await until(lambda: _answers(client))
            broken, whole = await asyncio.wait(reads, timeout=5)
            for read in whole:
                read.cancel()

            assert 1 <= len(broken) < len(watches), "each broker had some"
            for read in broken:
                error = read.exception()
                assert isinstance(error, grpc.aio.AioRpcError)
                assert error.code() in BROKEN
            await until(lambda: _answers(client))
            again = [_watch(client) for _ in broken]
            assert {held.value} == {(await watch.read()).token.value for watch in again}
            for watch in (*watches, *again):
                watch.cancel()


@pytest.mark.slow
async def test_a_client_with_hundreds_of_watches_is_still_answered(
    balancer: Balancer, tmp_path: Path
) -> None:
    with balanced(balancer, tmp_path) as (fleet, ports):
        async with connect(ports.grpc) as (client,):
            await until(lambda: _shared(fleet, client))
            watches = [_watch(client) for _ in range(MANY_WATCHES)]
            async with asyncio.timeout(60):
                tokens = {(await watch.read()).token.value for watch in watches}

            assert {(await client.token(timeout=10)).value} == tokens
            for watch in watches:
                watch.cancel()


@pytest.mark.slow
async def test_wecom_reaches_callbacks_and_nothing_else(balancer: Balancer, tmp_path: Path) -> None:
    with balanced(balancer, tmp_path) as (fleet, ports):

        async def status(path: str) -> int:
            async with aiohttp.ClientSession() as session, session.get(ports.http + path) as answer:
                return answer.status

        async def is_answered() -> bool:
            return await status("/callback/crm") in (400, 403, 404)

        await until(is_answered)
        refused = Counter(
            [await status(path) for path in ("/metrics", "/readyz", "/", "/callback/", "/callback//metrics")]
        )
        assert {404: 5} == refused
        fleet.brokers[0].kill()
        answers = Counter([await status("/callback/crm") for _ in range(200)])
        assert set(answers) <= {400, 403, 404}, (
            f"{answers}: a call that a dead broker did not take goes to the other"
        )


def test_none_of_them_repeats_a_call_that_a_broker_may_have_seen() -> None:
    """Calls that consume a code must not happen twice: the rest is the client's business."""
    assert "retry-on conn-failure\n" in (DEPLOY / "haproxy.cfg").read_text()
    assert "grpc_next_upstream error timeout;" in (DEPLOY / "nginx.conf").read_text()
    envoy = (DEPLOY / "envoy.yaml").read_text()
    assert "retry_on: connect-failure,refused-stream,reset-before-request\n" in envoy
    assert "hedge_policy" not in envoy


def _watchers(broker: BrokerProcess) -> bool:
    """Return whether the broker counts a watch, which it does once a second."""
    return re.search(r"^wecom_broker_watchers [1-9]", broker.metrics(), re.MULTILINE) is not None


def _watch(client: Replica) -> Watch:
    return client.tokens.WatchAccessToken(pb.WatchAccessTokenRequest(target=target()))


async def _answers(client: Replica) -> bool:
    try:
        await client.token(timeout=5)
    except grpc.aio.AioRpcError:
        return False
    return True


async def _restarted(fleet: Fleet) -> None:
    for broker in fleet.brokers:
        if broker.process is None or broker.process.poll() is not None:
            await asyncio.to_thread(broker.start)


async def _shared(fleet: Fleet, client: Replica) -> bool:
    """Return whether the balancer answers, and both brokers get calls."""
    if not await _answers(client):
        return False
    before = [_requests(broker.metrics()) for broker in fleet.brokers]
    for _ in range(20):
        await _answers(client)
    after = [_requests(broker.metrics()) for broker in fleet.brokers]
    return all(late > early for early, late in zip(before, after, strict=True))


def _requests(metrics: str) -> float:
    name = 'wecom_broker_requests_total{code="OK",rpc="GetAccessToken"}'
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith(name))
