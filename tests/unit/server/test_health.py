"""What load balancers are told, by what the broker depends on."""

import asyncio
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from broker.domain.credentials import Freshness
from broker.domain.errors import StoreUnavailable
from broker.domain.replica.health import ReplicaHealth
from broker.domain.replica.readiness import Hindrance, NotReady
from broker.server.health import ADMIN, CALLBACKS, EVENTS, SERVICES, SESSIONS, SHARES, SUITES, Health
from broker.telemetry.logging import set_up_logging
from broker.telemetry.observer import Telemetry
from broker.usecases.admin import CredentialView
from broker.usecases.credentials.census import CredentialStats
from tests.kit.logs import own_logging
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.unit.domain.credentials import KEY

TOKENS = "wecom_broker.v1.TokenService"


@dataclass
class Admin:
    replica_health: ReplicaHealth
    serves: bool = True
    views: list[CredentialView] = field(default_factory=list)

    @property
    def readiness(self) -> "Admin":
        return self

    def without_tokens(self) -> NotReady | None:
        return None if self.serves else NotReady(Hindrance.WECOM, "WeCom cannot be reached")

    def obstacle(self) -> NotReady | None:
        stopping = NotReady(Hindrance.STOPPING, "this replica is stopping")
        return stopping if self.replica_health.draining else self.without_tokens()

    def credential_stats(self) -> CredentialStats:
        credential_stats = CredentialStats(Counter(), defaultdict(timedelta), 3)
        for view in self.views:
            credential_stats.counts[view.key.kind, view.state] += 1
            credential_stats.oldest[view.key.kind] = max(credential_stats.oldest[view.key.kind], view.age)
        return credential_stats

    def highest_ticket_use(self) -> float:
        return 0.25


@dataclass
class Shares:
    listed: bool = False

    def has_listing(self) -> bool:
        return self.listed


@dataclass
class Store:
    problem: StoreUnavailable | None = None

    async def count(self, name: str, window: timedelta) -> int:
        if self.problem:
            raise self.problem
        return 1


class Ward:
    """Health, and all that it looks at."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.telemetry = Telemetry(self.clock)
        self.admin = Admin(self.telemetry.replica_health)
        self.shares = Shares()
        self.store = Store()
        parts: Any = (self.admin, self.shares, self.store, self.clock, self.telemetry)
        self.health = Health(*parts)

    async def serving(self) -> dict[str, bool]:
        context: Any = None
        found = {}
        for service in ("", *SERVICES):
            answer = await self.health.servicer.Check(health_pb2.HealthCheckRequest(service=service), context)
            found[service] = answer.status == health_pb2.HealthCheckResponse.SERVING
        return found

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.telemetry.metrics.registry.get_sample_value(f"wecom_broker_{name}", labels)


@pytest.fixture
def ward() -> Ward:
    return Ward()


async def test_all_are_serving_while_tokens_can_be_served(ward: Ward) -> None:
    await ward.health.look()

    assert dict.fromkeys(("", *SERVICES), True) == await ward.serving()
    assert ward.health.obstacle() is None
    assert 1 == ward.gauge("ready")


async def test_without_tokens_only_operators_are_served(ward: Ward) -> None:
    ward.admin.serves = False
    await ward.health.look()

    others = {EVENTS: True, CALLBACKS: True, SUITES: True, ADMIN: True}
    assert {**dict.fromkeys(("", *SERVICES), False), **others} == await ward.serving()
    assert ward.health.obstacle()
    assert 0 == ward.gauge("ready")


async def test_shares_in_memory_are_served_without_tokens(ward: Ward) -> None:
    ward.admin.serves, ward.shares.listed = False, True
    await ward.health.look()

    others = {SHARES: True, EVENTS: True, CALLBACKS: True, SUITES: True, ADMIN: True}
    assert {**dict.fromkeys(("", *SERVICES), False), **others} == await ward.serving()


async def test_a_lost_store_is_noted_and_stops_events_and_sessions_alone(ward: Ward) -> None:
    ward.store.problem = StoreUnavailable("Redis does not answer")
    await ward.health.look()

    assert {**dict.fromkeys(("", *SERVICES), True), EVENTS: False, SESSIONS: False} == await ward.serving()
    assert not ward.telemetry.replica_health.store.healthy
    assert "Redis does not answer" == ward.telemetry.replica_health.store.last_error
    assert 0 == ward.gauge("dependency_up", dependency="store")


async def test_a_store_that_is_back_is_noted(ward: Ward) -> None:
    ward.store.problem = StoreUnavailable("Redis does not answer")
    await ward.health.look()
    ward.store.problem = None
    await ward.clock.advance(timedelta(seconds=5))
    await ward.health.look()

    assert ward.telemetry.replica_health.store.healthy
    assert ward.clock.now() == ward.telemetry.replica_health.store.since
    assert 1 == ward.gauge("dependency_up", dependency="store")


async def test_a_draining_broker_serves_nothing_and_nothing_changes_that_back(ward: Ward) -> None:
    await ward.health.look()
    await ward.health.drain()
    await ward.health.look()

    assert dict.fromkeys(("", *SERVICES), False) == await ward.serving()
    assert ward.health.obstacle()
    assert 0 == ward.gauge("ready")


async def test_each_change_of_readiness_is_logged_once_and_says_why(
    ward: Ward, capsys: pytest.CaptureFixture[str]
) -> None:
    with own_logging():
        set_up_logging("info", "json")
        for serves in (True, True, False, False, True, True):
            ward.admin.serves = serves
            await ward.health.look()
        await ward.health.drain()
        await ward.health.look()
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [
        ("error", "this replica is not ready", "WeCom cannot be reached"),
        ("warning", "this replica is ready again", None),
        ("info", "this replica is not ready", "this replica is stopping"),
    ] == [(line["level"], line["event"], line.get("problem")) for line in lines]


async def test_it_looks_once_a_second(ward: Ward) -> None:
    looking = asyncio.create_task(ward.health.run())
    await settle()
    ward.admin.serves = False
    await ward.clock.advance(timedelta(seconds=1))

    assert not (await ward.serving())[TOKENS]
    looking.cancel()


async def test_the_figures_count_credentials_by_state(ward: Ward) -> None:
    now = ward.clock.now()
    fresh = CredentialView(KEY, Freshness.FRESH, 1, timedelta(seconds=10), now, None, None, 0)
    ward.admin.views = [
        fresh,
        replace(fresh, age=timedelta(seconds=90)),
        replace(fresh, state=Freshness.EXPIRED),
    ]
    await ward.health.look()

    assert 2 == ward.gauge("credentials", kind="access_token", state="fresh")
    assert 1 == ward.gauge("credentials", kind="access_token", state="expired")
    assert 0 == ward.gauge("credentials", kind="access_token", state="ageing")
    assert 90 == ward.gauge("credential_oldest_seconds", kind="access_token")
    assert 3 == ward.gauge("watchers")
    assert 0.25 == ward.gauge("ticket_quota_used_ratio")


async def test_what_is_gone_is_not_counted_any_more(ward: Ward) -> None:
    fresh = CredentialView(KEY, Freshness.FRESH, 1, timedelta(0), ward.clock.now(), None, None, 0)
    ward.admin.views = [fresh]
    await ward.health.look()
    ward.admin.views = []
    await ward.health.look()

    assert 0 == ward.gauge("credentials", kind="access_token", state="fresh")


async def test_no_corp_and_no_app_stands_in_the_figures(ward: Ward) -> None:
    ward.admin.views = [
        CredentialView(KEY, Freshness.FRESH, 1, timedelta(0), ward.clock.now(), None, None, 0)
    ]
    await ward.health.look()

    assert KEY.corp_id.encode() not in b"".join(ward.telemetry.metrics.exposition())
    assert f'"{KEY.app}"'.encode() not in b"".join(ward.telemetry.metrics.exposition())
