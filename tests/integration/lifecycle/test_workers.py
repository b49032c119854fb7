"""Several workers on one port: each a broker of its own, watched by a supervisor."""

import asyncio
import json
import os
import re
import signal
import time

import psutil
import pytest
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import token_service_pb2 as pb

from tests.integration.conftest import Figures, StartFleet
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import Fleet, Replica, child, connect, target, until
from tests.kit.time_bounds import check_took

CONNECTIONS = 24
"""So many that each of two workers gets some."""

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(start_fleet: StartFleet) -> Fleet:
    """One broker of two workers."""
    return start_fleet(1, children=3, patient=True, server={"workers": 2})


async def workers_behind(replicas: list[Replica]) -> list[int]:
    """Return which worker is behind each connection, by the moment that it started."""
    answers = await asyncio.gather(
        *(replica.admin.GetStatus(admin_pb.GetStatusRequest()) for replica in replicas)
    )
    return [answer.start_time.ToNanoseconds() for answer in answers]


def metric(fleet: Fleet, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", fleet.brokers[0].metrics(), re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_two_workers_serve_one_port_are_counted_together_and_end_together(
    fleet: Fleet, figures: Figures
) -> None:
    broker = fleet.brokers[0]
    assert await _reached_both(broker.address)
    workers = broker.children()
    async with connect(*[broker.address] * CONNECTIONS) as replicas:
        # Connections that are made once both have started are shared among both.
        await asyncio.gather(*(replica.token(child(1)) for replica in replicas))
        counted = 'wecom_broker_requests_total{code="OK",rpc="GetAccessToken"}'
        # Each worker tells the others once a second what it has counted.
        await until(lambda: CONNECTIONS == metric(fleet, counted))
        assert {CONNECTIONS} == {int(metric(fleet, counted)) for _ in range(5)}, "whichever worker is asked"
        assert 3 == sum(fleet.wecom.calls().values()), "both workers share the fetches"
        memory = sum(psutil.Process(pid).memory_info().rss for pid in workers)
        assert 0.7 < metric(fleet, "process_resident_memory_bytes") / memory < 1.3
        seconds = sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in workers)
        assert 0.5 < metric(fleet, "process_cpu_seconds_total") / seconds <= 1.1
        assert "# TYPE process_cpu_seconds_total counter\n" in broker.metrics()
        assert '\nwecom_broker_store_damage_total{damage="record"} 0.0\n' in broker.metrics()
        assert [1] == [
            int(count)
            for count in re.findall(r"^wecom_broker_build_info\{.*\} (\d+)", broker.metrics(), re.MULTILINE)
        ]
        handled = 'grpc_method="GetAccessToken",grpc_service="wecom_broker.v1.TokenService",grpc_type="unary"'
        assert CONNECTIONS == metric(fleet, f'grpc_server_handled_total{{grpc_code="OK",{handled}}}')
    broker.send(signal.SIGTERM)
    process = broker.process
    assert process
    took = await until(lambda: process.poll() is not None)
    assert 0 == process.returncode
    assert [] == [pid for pid in workers if psutil.pid_exists(pid)]
    figures(workers=2, upstream=3, seconds_to_end=took)


async def _reached_both(address: str) -> bool:
    async def reached() -> bool:
        async with connect(*[address] * CONNECTIONS) as replicas:
            return 2 == len(set(await workers_behind(replicas)))

    await until(reached, pause=0.2)
    return True


async def test_a_killed_worker_is_replaced_and_its_gauges_go_with_it(fleet: Fleet, figures: Figures) -> None:
    broker = fleet.brokers[0]
    assert await _reached_both(broker.address)
    victim, other = broker.children()
    async with connect(*[broker.address] * CONNECTIONS) as replicas:
        request = pb.WatchAccessTokenRequest(target=target())
        calls = [replica.tokens.WatchAccessToken(request) for replica in replicas]
        await asyncio.gather(*(call.read() for call in calls))
        await until(lambda: CONNECTIONS == metric(fleet, "wecom_broker_watchers"))

        reads = [asyncio.ensure_future(call.read()) for call in calls]
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        await until(lambda: len(broker.children()) == 2 and victim not in broker.children())
        took = time.monotonic() - began
        assert other in broker.children()
        assert await _reached_both(broker.address)
        lost = [read for read in reads if read.done()]
        await until(lambda: CONNECTIONS - len(lost) == metric(fleet, "wecom_broker_watchers"))
        for call in calls:
            call.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
    assert 0 < len(lost) < CONNECTIONS
    assert 0 == await asyncio.to_thread(broker.stop)
    figures(streams=CONNECTIONS, lost_with_the_worker=len(lost), seconds_until_replaced=took)


def failed_starts(broker: BrokerProcess, exit_code: int) -> list[float]:
    """Return the pause after each worker that could not start."""
    lines = [json.loads(line) for line in broker.log.read_text().splitlines() if line.startswith("{")]
    return [line["seconds"] for line in lines if line.get("exit_code") == exit_code]


async def test_a_broken_file_keeps_a_killed_worker_from_coming_back_and_ends_no_other(
    fleet: Fleet, figures: Figures
) -> None:
    broker = fleet.brokers[0]
    assert await _reached_both(broker.address)
    victim, other = broker.children()
    usable = broker.config_file.read_text()
    broker.write("[server")
    os.kill(victim, signal.SIGKILL)
    await until(lambda: [2.0, 4.0] == failed_starts(broker, 2))
    assert other in broker.children()
    async with connect(broker.address) as (replica,):
        assert (await replica.token()).value

    broker.write(usable)
    took = await until(lambda: len(broker.children()) == 2)
    assert other in broker.children()
    assert await _reached_both(broker.address)
    figures(seconds_until_replaced=took)


async def test_while_redis_is_away_a_killed_worker_is_missing_and_the_other_serves(
    fleet: Fleet, figures: Figures
) -> None:
    broker = fleet.brokers[0]
    assert await _reached_both(broker.address)
    async with connect(*[broker.address] * CONNECTIONS) as replicas:
        served = await asyncio.gather(*(replica.token() for replica in replicas))
    victim, other = broker.children()
    fleet.redis.kill()
    os.kill(victim, signal.SIGKILL)
    await until(lambda: [2.0] == failed_starts(broker, 3))
    assert other in broker.children()
    async with connect(broker.address) as (replica,):
        assert served[0].value == (await replica.token()).value

    fleet.redis.start()
    broker.send(signal.SIGHUP)
    took = await until(lambda: len(broker.children()) == 2)
    assert other in broker.children()
    assert await _reached_both(broker.address)
    figures(seconds_until_replaced=took)


async def test_sigterm_ends_the_pause_before_the_next_worker(fleet: Fleet) -> None:
    broker = fleet.brokers[0]
    assert await _reached_both(broker.address)
    victim, other = broker.children()
    broker.write("[server")
    os.kill(victim, signal.SIGKILL)
    await until(lambda: 4.0 in failed_starts(broker, 2))
    tried = len(failed_starts(broker, 2))

    began = time.monotonic()
    assert 0 == await asyncio.to_thread(broker.stop)
    check_took(time.monotonic() - began, within=3.5)
    assert not psutil.pid_exists(other)
    assert tried == len(failed_starts(broker, 2))


async def test_workers_do_not_outlive_a_supervisor_that_was_killed(fleet: Fleet, figures: Figures) -> None:
    broker = fleet.brokers[0]
    assert await _reached_both(broker.address)
    workers = broker.children()
    broker.kill()
    took = await until(lambda: not any(psutil.pid_exists(pid) for pid in workers))
    figures(workers=2, seconds_to_end=took)
