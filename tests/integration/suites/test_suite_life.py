"""Issue 9, point 1: a suite lives through what may happen to it, over 3 replicas on one Redis."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from redis import Redis
from wecom_broker.v1 import js_sdk_service_pb2 as js_sdk_pb
from wecom_broker.v1 import mini_program_service_pb2 as mini_program_pb
from wecom_broker.v1.js_sdk_service_pb2_grpc import JsSdkServiceStub as JsSdkStub
from wecom_broker.v1.mini_program_service_pb2_grpc import MiniProgramServiceStub as MiniProgramStub

from broker.adapters.system import SystemClock
from broker.app.store import open_store
from broker.config.load import parse_config
from broker.domain.people.sessions import Session
from broker.domain.suites.authorization import Authorization, AuthorizationState
from broker.simulator.provider_demo import MEMBER, PARENT, children
from broker.telemetry.observer import Telemetry
from tests.integration.conftest import Figures
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import PREFIX, Fleet, Replica, refused, running_fleet, target, until
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
    status,
    until_active,
    until_ticket,
)
from tests.kit.time_bounds import check_took

TEN_MINUTES = 600.0
CORPS = iter(children(60)[50:])
"""Corps that no test has used yet; the first 50 are installed by a share."""

pytestmark = pytest.mark.slow


@dataclass
class Life:
    """A suite that a parent has installed, with a working ticket."""

    fleet: Fleet
    console: Console
    market: list[Replica]
    tailored: list[Replica]
    parent: str


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running_fleet(tmp_path_factory.mktemp("suite-life"), 3, travelling=True, **SUITES) as fleet:
        Console(fleet.wecom).open(60)
        yield fleet


@pytest.fixture
async def life(fleet: Fleet) -> AsyncIterator[Life]:
    async with called_back(fleet) as console, fleet.replicas("market") as market:
        tailored = [replica.of("tailored") for replica in market]
        # WeCom's TimeStamps are whole seconds: a ticket of the same second is no newer one.
        fleet.advance(2)
        console.push_tickets("market", "tailored")
        await until_ticket(*market, *tailored)
        if PARENT not in console.corp_ids():
            console.install(PARENT)
        parent = console.corp_ids()[PARENT]
        await until_active([parent], *market)
        yield Life(fleet, console, market, tailored, parent)
        fleet.mend()
    async with fleet.replicas("market") as again:
        await assert_explained(console, *again)


def of_suite(text: str, metric: str, suite: str) -> float:
    """Return a suite's gauge from the text of /metrics."""
    line = next(
        line for line in text.splitlines() if line.startswith(f'wecom_broker_{metric}{{app="{suite}"')
    )
    return float(line.rpartition(" ")[2])


def logged(broker: BrokerProcess, event: str, suite: str) -> list[dict[str, object]]:
    """Return what a broker logged of a suite."""
    lines = [json.loads(line) for line in broker.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event and line.get("app") == suite]


async def test_a_ticket_lost_for_40_min_is_told_everywhere_and_what_was_fetched_goes_on(
    life: Life, figures: Figures
) -> None:
    fleet, console, parent = life.fleet, life.console, life.parent
    tokens = [(await replica.token()).value for replica in life.market]
    corp_tokens = [(await replica.token(parent)).value for replica in life.market]

    console.lose_tickets("market", "tailored", count=4)
    for _ in range(4):
        fleet.advance(TEN_MINUTES)
        console.push_tickets("market", "tailored")

    # What was fetched works on. What was not says what is missing, and what to do.
    assert tokens == [(await replica.token()).value for replica in life.market]
    assert corp_tokens == [(await replica.token(parent)).value for replica in life.market]
    for replica in life.tailored:
        found = await refused(replica.token())
        assert "SUITE_TICKET_MISSING" == found.reason
        assert "suite_ticket of tailored, pushed " in found.message
        assert "has ended: press refresh" in found.message
        assert "press refresh" in (await status(replica)).ticket_problem
    now = time.time() + float((fleet.ahead or fleet.brokers[0].log).read_text())
    for broker in fleet.brokers:
        await until(lambda broker=broker: bool(logged(broker, "the suite lacks a suite_ticket", "tailored")))
        ends = of_suite(broker.metrics(), "suite_ticket_expiry_timestamp_seconds", "tailored")
        assert now - 20 * 60 < ends < now
    corp = next(CORPS)
    code = console.install(corp, "tailored")

    async def waits() -> bool:
        rows = [row for replica in life.tailored for row in await authorizations(replica)]
        pending = [row for row in rows if row.state == PENDING]
        return len(pending) == 3 and all("SUITE_TICKET_MISSING" in row.problem for row in pending)

    await until(waits, pause=0.1)
    assert 0 == console.times(code)

    began = time.monotonic()
    console.push_tickets("market", "tailored")
    corp_id = console.corp_ids("tailored")[corp]
    await until_active([corp_id], *life.tailored)
    took = time.monotonic() - began
    await until_ticket(*life.market, *life.tailored)
    assert 1 == len({(await replica.token()).value for replica in life.tailored})
    assert 1 == console.times(code)
    for broker in fleet.brokers:
        await until(
            lambda broker=broker: bool(logged(broker, "the suite has a new suite_ticket", "tailored"))
        )
    figures(minutes_without=40, seconds_from_the_next_ticket_to_the_exchange_of_what_waited=took)


async def test_50_children_installed_by_a_share_at_once_are_all_there(life: Life, figures: Figures) -> None:
    console = life.console
    began = time.monotonic()
    codes = console.share(PARENT, children(50))
    corp_ids = [console.corp_ids()[child] for child in children(50)]
    await until_active(corp_ids, *life.market)
    took = time.monotonic() - began

    assert [1] * 50 == [console.times(code) for code in codes]
    for replica in life.market:
        rows = {row.corp_id: row for row in await authorizations(replica)}
        parents = {rows[corp_id].agents[0].shared_from.corp_id for corp_id in corp_ids}
        assert {life.parent} == parents
    pushes = console.deliveries("create_auth")
    assert all(push["accepted"] for push in pushes)
    attempts = [attempt["seconds"] for push in pushes for attempt in push["attempts"]]
    figures(
        children=50,
        seconds_until_all_replicas_have_all=took,
        slowest_answer_to_create_auth=max(attempts),
        pushed_again=len(attempts) - len(pushes),
    )


async def test_a_reset_leaves_no_moment_without_a_working_secret(life: Life) -> None:
    console, corp = life.console, next(CORPS)
    console.install(corp, "tailored")
    corp_id = console.corp_ids("tailored")[corp]
    await until_active([corp_id], *life.tailored)
    before = next(row for row in await authorizations(life.tailored[0]) if row.corp_id == corp_id)

    console.wecom.fault("delay", EXCHANGE, seconds=2, times=1)
    code = console.reset(corp)
    await until(lambda: console.wecom.in_flight(EXCHANGE) == 1)
    # The old one works until the new one is stored.
    assert (await life.tailored[1].refresh(corp_id)).credential.corp_id == corp_id

    async def has_new_code() -> bool:
        rows = {row.corp_id: row for row in await authorizations(life.tailored[2])}
        return bool(rows[corp_id].installation_id != before.installation_id)

    await until(has_new_code)
    await until_active([corp_id], *life.tailored)
    assert 1 == console.times(code)
    for replica in life.tailored:
        after = next(row for row in await authorizations(replica) if row.corp_id == corp_id)
        assert before.install_time == after.install_time, "the corp did not install it again"
        # WeCom takes the new secret alone.
        assert corp_id == (await replica.refresh(corp_id)).credential.corp_id
    await assert_explained(console, *life.tailored)


async def test_a_cancelled_corp_is_gone_on_every_replica_within_a_second(
    life: Life, figures: Figures
) -> None:
    console, corp = life.console, next(CORPS)
    console.install(corp)
    corp_id = console.corp_ids()[corp]
    await until_active([corp_id], *life.market)
    for replica in life.market:
        await replica.token(corp_id)
        page = js_sdk_pb.SignPageRequest(target=target(corp_id, "market"), url="https://app.example/page")
        assert corp_id == (await JsSdkStub(replica.channel).SignPage(page)).config.corp_id
    mini_programs = [MiniProgramStub(replica.channel) for replica in life.market]
    login = mini_program_pb.ExchangeLoginCodeRequest(app="market", js_code=console.js_code(corp, MEMBER))
    session = (await mini_programs[0].ExchangeLoginCode(login)).session
    key = mini_program_pb.GetSessionKeyRequest(session_id=session.session_id)
    assert all([(await mini_program.GetSessionKey(key)).session_key for mini_program in mini_programs])
    kept = records_of(life.fleet, corp_id)
    assert {"access_token", "corp_ticket", "sessions"} <= {name.partition(":")[0] for name in kept}

    console.cancel(corp)
    began = time.monotonic()

    async def is_refused(replica: Replica) -> bool:
        answer = await asyncio.gather(replica.token(corp_id), return_exceptions=True)
        return isinstance(answer[0], Exception)

    async def has_no_session(mini_program: MiniProgramStub) -> bool:
        answer = await asyncio.gather(mini_program.GetSessionKey(key), return_exceptions=True)
        return isinstance(answer[0], Exception)

    def is_empty() -> bool:
        return {f"authorization:market:{corp_id}"} == set(records_of(life.fleet, corp_id))

    took = max(
        await asyncio.gather(
            *(until(lambda r=replica: is_refused(r)) for replica in life.market),
            *(until(lambda m=mini_program: has_no_session(m)) for mini_program in mini_programs),
            until(is_empty),
        )
    )
    for replica in life.market:
        assert "CORP_NOT_AUTHORIZED" == (await refused(replica.token(corp_id))).reason
    # All that is left says that the corp cancelled.
    left = await stored(life.fleet, corp_id)
    assert (AuthorizationState.CANCELLED, None, "") == (left.state, left.permanent_code, left.corp_name)
    assert b"" == life.fleet.record(Session.name_of(session.session_id))[b"payload"]
    check_took(took, 1.0)
    figures(all_gone_after_s=took, since_s=time.monotonic() - began)

    # Whoever comes back is served again.
    console.install(corp)
    await until_active([corp_id], *life.market)
    assert {corp_id} == {(await replica.token(corp_id)).corp_id for replica in life.market}


def records_of(fleet: Fleet, corp_id: str) -> list[str]:
    """Return the names of all that Redis keeps of a corp.

    Left out: tombstones, leases and their numbers, and counts of calls, which end within the hour.
    """
    with Redis(port=fleet.redis.port) as client:
        return [
            key.decode().removeprefix(f"{PREFIX}:{{").partition("}")[0]
            for key in client.scan_iter(f"*{corp_id}*", count=1000)
            if not key.endswith((b":lease", b":tally"))
            and (client.type(key) != b"hash" or client.hget(key, "payload"))
        ]


async def stored(fleet: Fleet, corp_id: str) -> Authorization:
    """Return what the store says of a corp's authorisation of market."""
    clock = SystemClock()
    async with open_store(parse_config(fleet.config), clock, Telemetry(clock)) as storage:
        found = await storage.authorizations.find(("market", corp_id))
    assert found
    return found


async def test_a_replica_killed_between_sending_and_storing_costs_that_one_code_and_no_other(
    life: Life, figures: Figures
) -> None:
    fleet, console, corp = life.fleet, life.console, next(CORPS)
    console.wecom.fault("delay", EXCHANGE, seconds=60, times=1, on_the_way_back=True)
    code = console.install(corp)
    await until(lambda: console.wecom.in_flight(EXCHANGE) == 1)
    holder = await asyncio.to_thread(fleet.holder, "exchange:market")
    holder.kill()
    began = time.monotonic()
    survivors = [
        replica for replica, broker in zip(life.market, fleet.brokers, strict=True) if broker is not holder
    ]

    later = [next(CORPS) for _ in range(3)]
    codes = [console.install(each) for each in later]
    corp_ids = console.corp_ids()
    await until_active([corp_ids[each] for each in later], *survivors)
    took = time.monotonic() - began
    rows = [row for row in await authorizations(survivors[0]) if row.state == PENDING]
    assert 1 == len(rows), "its answer may still come"

    fleet.advance(60)  # the longest that a call takes has passed

    async def is_lost() -> bool:
        found = [[row for row in await authorizations(replica) if not row.corp_id] for replica in survivors]
        return all([LOST] == [row.state for row in rows] for rows in found)

    await until(is_lost, pause=0.1)
    lost = next(row for row in await authorizations(survivors[0]) if row.state == LOST)
    assert "the broker that sent the code stopped before WeCom's answer was stored" in lost.problem
    assert "install the app again" in lost.problem
    # WeCom may push it again.
    answer = await console.send("market", "create_auth", create_auth(code, int(time.time())))
    assert answer["success"]
    fleet.mend()
    async with fleet.replicas("market") as replicas:
        for replica in replicas:
            assert lost.problem in {row.problem for row in await authorizations(replica)}
        assert [1] * 4 == [console.times(each) for each in (code, *codes)]
        # What the problem says to do helps.
        console.install(corp)
        await until_active([corp_ids[corp]], *replicas)
    figures(seconds_until_the_others_took_over=took)
