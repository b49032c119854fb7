"""Issue 9, point 1: authorisations outlive brokers, a store that lost all, and a WeCom that is away."""

import time
from pathlib import Path

import pytest

from broker.simulator.provider_demo import PARENT, child, children
from tests.integration.conftest import Figures, StartFleet
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import (
    SimulatorProcess,
    configuration,
    connect,
    until,
)
from tests.kit.processes.ports import free_port
from tests.kit.processes.suites import (
    EXCHANGE,
    LOST,
    PENDING,
    SUITES,
    Console,
    assert_explained,
    authorizations,
    called_back,
    create_auth,
    until_active,
    until_ticket,
)
from tests.kit.processes.tcp_relay import relay_to

pytestmark = pytest.mark.slow


def callbacks_of(broker: BrokerProcess) -> str:
    return f"http://127.0.0.1:{broker.http_port}/callback"


async def test_what_a_killed_broker_kept_in_sqlite_is_there_when_it_is_back(tmp_path: Path) -> None:
    with SimulatorProcess() as wecom:
        console = Console(wecom)
        console.open(1)
        config = configuration(wecom.url, f"sqlite:///{tmp_path}/broker.db", **SUITES)
        with BrokerProcess(tmp_path / "broker", config, forked=True) as broker:
            console.call_back(callbacks_of(broker))
            async with connect(broker.address, app="market") as (replica,):
                console.push_tickets("market")
                await until_ticket(replica)
                console.install(PARENT)
                parent = console.corp_ids()[PARENT]
                await until_active([parent], replica)
                token = await replica.token(parent)
                # The answer to its code is on the way when the broker dies.
                wecom.fault("delay", EXCHANGE, seconds=60, times=1, on_the_way_back=True)
                console.install(child(1))
                await until(lambda: wecom.in_flight(EXCHANGE) == 1)
            broker.kill()
            broker.start()
            async with connect(broker.address, app="market") as (replica,):
                assert token.value == (await replica.token(parent)).value
                rows = {row.corp_id: row for row in await authorizations(replica)}
                assert {parent, ""} == set(rows)
                # For all that this broker knows, the answer may still come: as long as a call lasts.
                assert (rows[""].state, rows[""].problem.partition(";")[0]) in (
                    (PENDING, "the code was sent, and WeCom's answer is outstanding"),
                    (LOST, "the broker that sent the code stopped before WeCom's answer was stored"),
                )
                console.install(child(1))
                await until_active([parent, console.corp_ids()[child(1)]], replica)
                await assert_explained(console, replica)


async def test_a_redis_that_lost_everything_gets_the_authorisations_back(
    start_fleet: StartFleet, tmp_path: Path, figures: Figures
) -> None:
    fleet = start_fleet(2, patient=True, **SUITES)
    Console(fleet.wecom).open(20)
    async with called_back(fleet) as console, fleet.replicas("market") as replicas:
        console.push_tickets("market")
        await until_ticket(*replicas)
        codes = [console.install(corp) for corp in children(20)]
        corp_ids = sorted(console.corp_ids().values())
        await until_active(corp_ids, *replicas)

        fleet.redis.kill()
        fleet.redis.start()
        began = time.monotonic()

        def are_back() -> bool:
            return all(fleet.record(f"authorization:market:{corp_id}") for corp_id in corp_ids)

        await until(are_back, pause=0.1)
        took = time.monotonic() - began
        # WeCom pushes a code again, and a replica starts that has nothing in memory.
        assert (await console.send("market", "create_auth", create_auth(codes[0], int(time.time()))))[
            "success"
        ]
        with BrokerProcess(tmp_path / "new", fleet.config, patient=True, forked=True) as broker:
            async with connect(broker.address, app="market") as (new,):
                await until_active(corp_ids, new)
                await assert_explained(console, *replicas, new)
        assert [1] * 20 == [console.times(code) for code in codes]
    figures(authorisations=20, seconds_until_all_are_back_in_redis=took)


async def test_a_code_that_comes_while_wecom_is_away_is_exchanged_once_it_is_back(
    tmp_path: Path, figures: Figures
) -> None:
    port = free_port()
    with SimulatorProcess() as wecom:
        console = Console(wecom)
        console.open(3)
        simulator = int(wecom.url.rpartition(":")[2])
        config = configuration(f"http://127.0.0.1:{port}", f"sqlite:///{tmp_path}/broker.db", **SUITES)
        with BrokerProcess(tmp_path / "broker", config, forked=True) as broker:
            console.call_back(callbacks_of(broker))
            async with connect(broker.address, app="market") as (replica,):
                console.push_tickets("market")
                await until_ticket(replica)
                async with relay_to(simulator, port):
                    console.install(PARENT)
                    await until_active([console.corp_ids()[PARENT]], replica)
                # WeCom is away. The suite token works still: only the exchange itself cannot be made.
                codes = [console.install(child(number)) for number in (1, 2)]

                async def wait() -> bool:
                    rows = [row for row in await authorizations(replica) if not row.corp_id]
                    return [PENDING] * 2 == [row.state for row in rows] and any(row.problem for row in rows)

                await until(wait, pause=0.1)
                assert [0, 0] == [console.times(code) for code in codes]

                began = time.monotonic()
                async with relay_to(simulator, port):
                    await until_active(sorted(console.corp_ids().values()), replica)
                    took = time.monotonic() - began
                    assert [1, 1] == [console.times(code) for code in codes]
                    assert LOST not in {row.state for row in await authorizations(replica)}
                    await assert_explained(console, replica)
    figures(seconds_until_exchanged_after_wecom_was_back=took)
