"""Issue 9, point 6: a suite that 10,000 corps have authorised."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from redis import Redis
from wecom_broker.v1 import suite_service_pb2 as pb

from broker.adapters.redis.servers import port
from broker.adapters.system import SystemClock
from broker.app.store import open_store
from broker.config.load import parse_config
from broker.domain.secret import Secret
from broker.domain.suites.authorization import Authorization, AuthorizationState, AuthorizedAgent, Permission
from broker.simulator.provider_demo import PARENT
from broker.telemetry.observer import Telemetry
from broker.usecases.suites.enlisted import AUTHORIZATIONS, FOREVER
from tests.integration.conftest import Figures
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import PATIENCE, Fleet, connect, running_fleet
from tests.kit.processes.suites import (
    SUITES,
    Console,
    authorizations,
    called_back,
    until_active,
    until_ticket,
)
from tests.kit.time_bounds import check_took

MANY = 10_000
AT_ONCE = 50
READY_WITHIN_SECONDS = 2.0

pytestmark = pytest.mark.slow


def authorization(number: int) -> Authorization:
    """Return what a broker keeps of a corp with one agent."""
    at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    permissions = tuple(Permission(name) for name in ("contact:base_info:readonly", "agent:message:send"))
    return Authorization(
        suite="market",
        corp_id=f"wpManyCorps{number:021d}",
        fence=number + 1,
        state=AuthorizationState.ACTIVE,
        permanent_code=Secret(f"a-permanent-code-of-WeCom-{number:020d}"),
        code_hash=f"{number:064x}",
        installed_at=at,
        updated_at=at,
        corp_name=f"晨星分公司{number}",
        agents=(AuthorizedAgent(1_000_000 + number, "排班助手", permissions=permissions),),
        installer_user_id=f"woInstaller{number:021d}",
    )


async def keep(fleet: Fleet, number: int) -> None:
    """Put so many authorisations into the store, as brokers do."""
    clock, slots = SystemClock(), asyncio.Semaphore(AT_ONCE)
    async with open_store(parse_config(fleet.config), clock, Telemetry(clock)) as storage:

        async def keep_one(found: Authorization) -> None:
            async with slots:
                await storage.groups.enlist(f"{AUTHORIZATIONS}:{found.suite}", found.corp_id, FOREVER)
                assert await storage.authorizations.offer(found)

        await asyncio.gather(*(keep_one(authorization(each)) for each in range(number)))


@dataclass
class Start:
    """What a start cost."""

    seconds: float
    cpu_seconds: float
    token_seconds: float
    listed_seconds: float
    rss: int


async def restarted(broker: BrokerProcess, redis_port: int, corp_id: str, number: int) -> Start:
    """Start a broker that nobody holds a token for; ask for a corp's at once, then for the list."""
    with Redis(port=redis_port) as redis:
        assert redis.delete(*redis.scan_iter("*{access_token:*", count=1000))
    began = time.monotonic()
    await asyncio.to_thread(broker.start)
    seconds, cpu_seconds = time.monotonic() - began - kept_waiting(broker), cpu_of(broker)
    async with connect(broker.address, app="market") as (replica,):
        began = time.monotonic()
        assert corp_id == (await replica.token(corp_id)).corp_id
        token_seconds = time.monotonic() - began
        answer = await replica.suites.ListAuthorizations(
            pb.ListAuthorizationsRequest(app="market"), timeout=60
        )
        assert min(number, 100) == len(answer.authorizations)
        listed = time.monotonic() - began
    assert broker.process
    rss = psutil.Process(broker.process.pid).memory_info().rss
    return Start(seconds, cpu_seconds, token_seconds, listed, rss)


def cpu_of(broker: BrokerProcess) -> float:
    """Return the processor time that a broker has used, in seconds: a busy machine does not stretch it."""
    assert broker.process
    times = psutil.Process(broker.process.pid).cpu_times()
    return times.user + times.system


def kept_waiting(broker: BrokerProcess) -> float:
    """Return how long a broker's first thread was ready to run but had no processor, in seconds."""
    assert broker.process
    _, waited, _ = Path(f"/proc/{broker.process.pid}/schedstat").read_text(encoding="ascii").split()
    return int(waited) / 1e9


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    with running_fleet(tmp_path, 1, patient=True, log={"level": "info"}, **SUITES) as fleet:
        Console(fleet.wecom).open(0)
        yield fleet


async def test_10000_authorisations_are_listed_in_pages_and_delay_no_restart(
    fleet: Fleet, figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port, "ANSWER_SECONDS", PATIENCE)  # for the test's own writes: see patient_broker
    (broker,) = fleet.brokers
    async with called_back(fleet) as console, fleet.replicas("market") as (replica,):
        console.push_tickets("market")
        await until_ticket(replica)
        console.install(PARENT)
        corp_id = console.corp_ids()[PARENT]
        await until_active([corp_id], replica)
    broker.kill()
    one = await restarted(broker, fleet.redis.port, corp_id, 1)
    broker.kill()
    await keep(fleet, MANY - 1)
    many = await restarted(broker, fleet.redis.port, corp_id, MANY)

    async with fleet.replicas("market") as (replica,):
        began = time.monotonic()
        rows = await authorizations(replica, page_size=1000)
        listed = time.monotonic() - began
        assert MANY == len({row.corp_id for row in rows}) == len(rows)
        before = cpu_of(broker)
        assert rows == await authorizations(replica, page_size=100), "pages of any size add up to the same"
        small_pages = cpu_of(broker) - before
        before = cpu_of(broker)
        for _ in range(10):
            await authorizations(replica, page_size=1000)
        large_pages = (cpu_of(broker) - before) / 10
    each = (many.rss - one.rss) / MANY
    figures(
        authorisations=MANY,
        ready_after_s=many.seconds,
        ready_with_one_after_s=one.seconds,
        of_processor_time=many.cpu_seconds,
        first_token_after_s=many.token_seconds,
        all_loaded_after_s=many.listed_seconds,
        listed_in_10_pages_s=listed,
        of_processor_time_then=large_pages,
        and_in_100_pages=small_pages,
        bytes_each=round(each),
    )
    check_took(many.seconds - one.seconds, READY_WITHIN_SECONDS)
    assert many.cpu_seconds < READY_WITHIN_SECONDS
    assert many.cpu_seconds - one.cpu_seconds < READY_WITHIN_SECONDS / 2
    assert each < 8_000
    assert small_pages < 5 * large_pages, "rows that are made anew for each page would make it 7 times"
