"""What operators see of suites and providers, and which of their credentials they may refresh."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from wecom_broker.v1 import admin_service_pb2 as pb
from wecom_broker.v1.target_pb2 import SHARE_KIND_CORP_GROUP
from wecom_broker.v1.target_pb2 import Target as TargetMessage

from broker.domain.apps import App, AppKind
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey, RefreshPolicy
from broker.domain.errors import CallerLimited, InvalidRequest, UnknownApp
from broker.domain.replica.health import ReplicaHealth
from broker.domain.secret import Secret
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from broker.domain.suites.view import ViewState
from broker.server.grpc.services.admin import AdminServicer
from broker.telemetry.logging import LogLevel
from broker.telemetry.recent_problems import RecentProblems
from broker.usecases.admin import Admin
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.replicas.reporter import Reporter
from broker.usecases.suite_status import SuiteStatuses
from broker.usecases.suites.tickets import TicketStatus
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.memory.memory_store import MemoryStore, Shared
from tests.unit.domain.credentials import NOON, credential
from tests.unit.server.fakes import Context

ACME = Provider("acme", "ww0acme", Secret("provider-secret"))
MARKET = Suite("market", AppKind.THIRD_PARTY, "ww0suite", Secret("suite-secret"), ACME)
TAILORED = Suite("tailored", AppKind.CUSTOMIZED, "dk0suite", Secret("template-secret"), ACME)
CRM = App("crm", AppKind.SELF_BUILT, "ww0parent", 1000002, Secret("app-secret"))
CATALOG = Catalog({"crm": CRM}, {"tailored": TAILORED, "market": MARKET}, {"acme": ACME})
OWN = {"crm": "ww0parent", "acme": "ww0acme"}
MISSING = "no suite_ticket has ever arrived: press refresh"


class Tickets:
    def status(self, suite: Suite) -> TicketStatus:
        if suite is MARKET:
            return TicketStatus(NOON, NOON + timedelta(minutes=30), "")
        return TicketStatus(None, None, MISSING)


class Overview:
    def counts(self, suite: str) -> Mapping[str, int]:
        return {ViewState.ACTIVE: 3, ViewState.LOST: 1} if suite == "market" else {}

    def lost_followed(self, suite: str) -> int:
        return 1 if suite == "market" else 0

    def next_permission_end(self, suite: str) -> datetime | None:
        return NOON + timedelta(days=90) if suite == "market" else None


class Targets:
    async def locate(self, target: Any) -> CredentialKey:
        if target.app == "acme":
            return CredentialKey.provider_token(ACME)
        if target.app == "market" and not target.corp_id:
            return CredentialKey.suite_token(MARKET)
        return CredentialKey(target.app, target.corp_id or "ww0parent", 1000002, ShareKind.OWN)


class Engine:
    """Fetches whatever is asked for."""

    def __init__(self, memory: CredentialCache) -> None:
        self._memory = memory

    async def refresh(self, key: CredentialKey, _by: str = "") -> tuple[bool, Credential]:
        fetched = credential(key=key)
        await self._memory.adopt(fetched)
        return True, fetched


class NoRefusals:
    async def list(self, _app: str = "") -> list[Any]:
        return []


class NoMeetings:
    def most(self) -> list[Any]:
        return []


NO_MEETINGS: Any = NoMeetings()


class Limited(NoRefusals):
    """May not be retried yet."""

    async def retry(self, app: str) -> int:
        raise CallerLimited("a moment ago", timedelta(minutes=1), app=app)


class LostCodes:
    """One lost code of each suite."""

    def __init__(self) -> None:
        self.settled: list[str] = []

    async def acknowledge(self, suite: str) -> int:
        self.settled.append(suite)
        return 1


def servicer(refusals: Any = None, lost_codes: Any = None) -> AdminServicer:
    memory = CredentialCache(RefreshPolicy())
    parts: dict[str, Any] = {
        "catalog": CATALOG,
        "targets": Targets(),
        "engine": Engine(memory),
        "memory": memory,
        "clock": FakeClock(NOON),
        "policy": RefreshPolicy(),
        "replica_health": ReplicaHealth(NOON),
    }
    statuses: Any = (Tickets(), Overview())
    unused = dict.fromkeys(("shares", "tickets", "gate", "authorizations", "forced", "callers"))
    admin = Admin(**parts, **unused)
    heartbeats: Any = None
    groups: Any = None
    reporter = Reporter("broker-1", admin, NO_MEETINGS, list, FakeClock(NOON))
    return AdminServicer(
        admin=admin,
        refusals=refusals or NoRefusals(),
        lost_codes=lost_codes,
        suites=SuiteStatuses(CATALOG.suites, *statuses),
        reporter=reporter,
        heartbeats=heartbeats,
        groups=groups,
        log_level=LogLevel("info", "json"),
        store=MemoryStore(Shared(FakeClock(NOON))),
        problems=RecentProblems(FakeClock(NOON)),
    )


async def test_a_retry_that_is_refused_acknowledges_no_lost_code() -> None:
    lost = LostCodes()
    with pytest.raises(CallerLimited):
        await servicer(Limited(), lost).RetryRefused(pb.RetryRefusedRequest(app="market"), Context())

    assert [] == lost.settled


async def test_suites_and_providers_are_listed_among_the_apps() -> None:
    listed = (await servicer().ListApps(pb.ListAppsRequest(), Context())).apps

    assert [
        pb.App(name="acme", kind="provider", corp_id="ww0acme"),
        pb.App(
            name="crm",
            kind="self_built",
            corp_id="ww0parent",
            agent_id=1000002,
            share_kinds=[SHARE_KIND_CORP_GROUP],
        ),
        pb.App(
            name="market",
            kind="third_party",
            suite_id="ww0suite",
            provider="acme",
            share_kinds=[SHARE_KIND_CORP_GROUP],
        ),
        pb.App(
            name="tailored",
            kind="customized",
            suite_id="dk0suite",
            provider="acme",
            share_kinds=[SHARE_KIND_CORP_GROUP],
        ),
    ] == list(listed)
    assert "secret" not in str(listed)


async def test_the_status_tells_how_each_suite_is_doing() -> None:
    status = await servicer().GetStatus(pb.GetStatusRequest(), Context())
    market, tailored = status.suites

    assert (
        pb.SuiteStatus(
            app="market",
            ticket_time=NOON,
            ticket_expire_time=NOON + timedelta(minutes=30),
            active_count=3,
            lost_count=1,
            lost_followed_count=1,
            next_permission_expire_time=NOON + timedelta(days=90),
        )
        == market
    )
    assert pb.SuiteStatus(app="tailored", ticket_problem=MISSING) == tailored


@pytest.mark.parametrize("app", ["", "crm", "market", "acme"])
async def test_credentials_are_listed_of_suites_and_providers_too(app: str) -> None:
    admin = servicer()
    for name in ("crm", "market", "acme"):
        await admin.RefreshCredential(pb.RefreshCredentialRequest(target=TargetMessage(app=name)), Context())
    listed = (await admin.ListCredentials(pb.ListCredentialsRequest(app=app), Context())).credentials

    assert ({app} if app else {"crm", "market", "acme"}) == {found.app for found in listed}


async def test_an_unknown_name_has_no_credentials() -> None:
    with pytest.raises(UnknownApp):
        await servicer().ListCredentials(pb.ListCredentialsRequest(app="nosuch"), Context())


@pytest.mark.parametrize(
    ("app", "corp_id", "asked", "fetched"),
    [
        ("market", "", pb.CREDENTIAL_KIND_UNSPECIFIED, pb.CREDENTIAL_KIND_SUITE_TOKEN),
        ("market", "", pb.CREDENTIAL_KIND_ACCESS_TOKEN, pb.CREDENTIAL_KIND_SUITE_TOKEN),
        ("market", "", pb.CREDENTIAL_KIND_SUITE_TOKEN, pb.CREDENTIAL_KIND_SUITE_TOKEN),
        ("acme", "", pb.CREDENTIAL_KIND_UNSPECIFIED, pb.CREDENTIAL_KIND_PROVIDER_TOKEN),
        ("market", "wpA", pb.CREDENTIAL_KIND_UNSPECIFIED, pb.CREDENTIAL_KIND_ACCESS_TOKEN),
        ("market", "wpA", pb.CREDENTIAL_KIND_CORP_TICKET, pb.CREDENTIAL_KIND_CORP_TICKET),
        ("crm", "", pb.CREDENTIAL_KIND_AGENT_TICKET, pb.CREDENTIAL_KIND_AGENT_TICKET),
    ],
)
async def test_a_refresh_is_of_the_target_s_own_credentials(
    app: str, corp_id: str, asked: pb.CredentialKind, fetched: pb.CredentialKind
) -> None:
    request = pb.RefreshCredentialRequest(target=TargetMessage(app=app, corp_id=corp_id), kind=asked)
    answer = await servicer().RefreshCredential(request, Context())

    assert (app, corp_id or OWN.get(app, ""), fetched) == (
        answer.credential.app,
        answer.credential.corp_id,
        answer.credential.kind,
    )


@pytest.mark.parametrize(
    ("app", "corp_id", "asked"),
    [
        ("market", "", pb.CREDENTIAL_KIND_CORP_TICKET),
        ("market", "", pb.CREDENTIAL_KIND_PROVIDER_TOKEN),
        ("acme", "", pb.CREDENTIAL_KIND_SUITE_TOKEN),
        ("market", "wpA", pb.CREDENTIAL_KIND_SUITE_TOKEN),
        ("crm", "", pb.CREDENTIAL_KIND_PROVIDER_TOKEN),
    ],
)
async def test_a_kind_that_the_target_does_not_have_is_refused_by_field(
    app: str, corp_id: str, asked: pb.CredentialKind
) -> None:
    request = pb.RefreshCredentialRequest(target=TargetMessage(app=app, corp_id=corp_id), kind=asked)

    with pytest.raises(InvalidRequest) as refused:
        await servicer().RefreshCredential(request, Context())
    assert "kind" == refused.value.metadata["field"]
