"""Issue 9, point 2: which suite_tickets are taken, and what a storm of them costs."""

import time
from collections.abc import AsyncIterator, Iterator

import pytest

from broker.simulator.provider_demo import TAILORED
from tests.integration.conftest import Figures
from tests.kit.processes.fleet import Fleet, Replica, running_fleet, until
from tests.kit.processes.suites import GET_SUITE_TOKEN, SUITES, Console, called_back, status, until_ticket
from tests.kit.time_bounds import check_took

STORM = 1000
WECOM_WAITS_SECONDS = 5.0
"""How long WeCom waits for `success` (wecom-api C1)."""

ATTEMPTS = 20

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("suite-tickets")
    with running_fleet(folder, 3, travelling=True, log={"level": "info"}, **SUITES) as fleet:
        Console(fleet.wecom).open(0)
        yield fleet


@pytest.fixture
async def console(fleet: Fleet) -> AsyncIterator[Console]:
    async with called_back(fleet) as console, fleet.replicas("market") as replicas:
        # WeCom's TimeStamps are whole seconds: a ticket of the same second is no newer one.
        fleet.advance(2)
        console.push_tickets("market")
        await until_ticket(*replicas)
        yield console


def counted(fleet: Fleet, metric: str, **labels: str) -> float:
    """Return a counter's sum over the replicas."""
    shown = ",".join(f'{name}="{value}"' for name, value in labels.items())
    lines = [line for broker in fleet.brokers for line in broker.metrics().splitlines()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith(f"wecom_broker_{metric}_total{{{shown}}}")
    )


async def ticket_times(replicas: list[Replica]) -> set[int]:
    """Return the TimeStamps of the tickets that the replicas hold."""
    return {(await status(replica)).ticket_time.seconds for replica in replicas}


async def test_a_ticket_that_arrives_after_a_newer_one_changes_nothing(
    fleet: Fleet, console: Console
) -> None:
    console.settings(suite_tickets_accepted=1)
    before = counted(fleet, "suite_tickets", app="market", outcome="older")
    # The older ticket is sent right behind the newer one, and may overtake it on a busy machine.
    for _ in range(ATTEMPTS):
        console.hold_ticket("market")
        fleet.advance(2)
        console.push_tickets("market")
        fleet.advance(2)
        console.push_tickets("market")
        await until(lambda: all(delivery["accepted"] for delivery in console.deliveries("suite_ticket")[:2]))
        if counted(fleet, "suite_tickets", app="market", outcome="older") > before:
            break
    assert counted(fleet, "suite_tickets", app="market", outcome="older") > before

    newest = max(delivery["at"] for delivery in console.deliveries("suite_ticket"))
    async with fleet.replicas("market") as replicas:

        async def agree() -> bool:
            return {newest} == await ticket_times(replicas)

        await until(agree)
        # WeCom takes the newest alone.
        for replica in replicas:
            assert (await replica.refresh()).credential.generation
    console.settings(suite_tickets_accepted=3)


async def test_another_suites_ticket_is_refused_and_counted(fleet: Fleet, console: Console) -> None:
    async with fleet.replicas("market") as replicas:
        held = await ticket_times(replicas)
        refused = counted(fleet, "callbacks", app="market", outcome="receive_id")
        fleet.advance(2)
        answer = await console.send(
            "market",
            "suite_ticket",
            f"<xml><SuiteId><![CDATA[{TAILORED}]]></SuiteId><InfoType> <![CDATA[suite_ticket]]></InfoType>"
            f"<TimeStamp>{int(time.time()) + 100}</TimeStamp>"
            "<SuiteTicket><![CDATA[a-ticket-of-tailored]]></SuiteTicket></xml>",
        )
        assert 403 == answer["status"]
        attempts = console.deliveries("suite_ticket")[0]["attempts"]
        assert refused + len(attempts) == counted(fleet, "callbacks", app="market", outcome="receive_id")
        assert held == await ticket_times(replicas)


async def test_a_storm_of_tickets_costs_no_suite_token(
    fleet: Fleet, console: Console, figures: Figures
) -> None:
    # All of these are of a few seconds: the broker keeps the first of a second.
    console.settings(suite_tickets_accepted=None)
    async with fleet.replicas("market") as replicas:
        token = (await replicas[0].token()).value
        console.wecom.forget_calls()
        began = time.monotonic()
        console.push_tickets("market", count=STORM)

        def are_answered() -> bool:
            return all(delivery["attempts"] for delivery in console.deliveries("suite_ticket")[:STORM])

        await until(are_answered, pause=0.5)
        took = time.monotonic() - began
        assert 0 == console.wecom.calls().get(GET_SUITE_TOKEN, 0)
        assert {token} == {(await replica.token()).value for replica in replicas}
        assert 0 == console.wecom.calls().get(GET_SUITE_TOKEN, 0)
        # What they brought works.
        assert (await replicas[2].refresh()).credential.generation
    answers = [delivery["attempts"] for delivery in console.deliveries("suite_ticket")[:STORM]]
    assert STORM == len([1 for attempts in answers if len(attempts) == 1 and attempts[0]["success"]])
    seconds = sorted(attempts[0]["seconds"] for attempts in answers)
    check_took(seconds[-1], WECOM_WAITS_SECONDS)
    figures(
        tickets=STORM,
        suite_tokens_fetched=0,
        answered_p50_s=seconds[STORM // 2],
        answered_p99_s=seconds[STORM * 99 // 100],
        all_after_s=took,
    )
