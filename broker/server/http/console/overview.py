"""What the console shows, gathered for one caller: of all apps, or of one."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from wecom_broker.v1 import admin_service_pb2 as pb

from broker.domain.access import Caller
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import InvalidRequest, StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.server.diagnosis.examination import OF_APPS, OF_REPLICAS, examine, worst_first
from broker.server.diagnosis.finding import Facts, Finding, Level
from broker.server.diagnosis.words import Words
from broker.server.grpc import admin_messages
from broker.server.grpc.context import Context
from broker.server.grpc.services.admin import AdminServicer
from broker.server.http.console.rows import Row, rows_of
from broker.telemetry.recent_problems import RecentProblem, RecentProblems
from broker.usecases.admin import Admin
from broker.usecases.refusals.refusals import Refusals


@dataclass(frozen=True, slots=True)
class Seen:
    """All that one page is about."""

    app: str
    """Empty = all apps: then the fleet and the callers are shown, too."""
    facts: Facts
    findings: Sequence[Finding]
    """What is wrong, the worst first."""
    rows: Sequence[Row]
    refused_apps: frozenset[str]
    """Those of which a retry forgets something."""
    callers: Sequence[Caller]
    recent: Sequence[RecentProblem]
    store_away: bool
    """Whether quotas and groups are left out, because only the store knows them."""

    @property
    def now(self) -> datetime:
        """Return when it was seen."""
        return self.facts.now


class Overview:
    """Ask `AdminService` and those behind it, in this process."""

    def __init__(
        self,
        servicer: AdminServicer,
        admin: Admin,
        refusals: Refusals,
        policy: CallerPolicy,
        problems: RecentProblems,
        clock: Clock,
    ) -> None:
        self._servicer = servicer
        self._admin = admin
        self._refusals = refusals
        self._policy = policy
        self._problems = problems
        self._clock = clock

    async def look(self, app: str, words: Words, context: Context) -> Seen:
        """Return what there is to see, in a language. Raises `UnknownApp`."""
        refusals = await self._refusals.list(app)
        views = self._admin.credentials(app)
        status = await self._servicer.GetStatus(pb.GetStatusRequest(), context)
        replicas = await self._servicer.ListReplicas(pb.ListReplicasRequest(), context)
        quotas: Sequence[pb.Quota] = ()
        groups: Sequence[pb.EventGroup] = ()
        store_away = False
        try:
            quotas = (await self._servicer.GetQuotas(pb.GetQuotasRequest(app=app), context)).quotas
            groups = await self._groups(app, context)
        except StoreUnavailable:
            store_away = True
        if app:
            known = [suite for suite in status.suites if suite.app == app]
            status, replicas = pb.GetStatusResponse(suites=known), pb.ListReplicasResponse()
        facts = Facts(
            now=self._clock.now(),
            status=status,
            apps=[admin_messages.app(each) for each in self._admin.apps()],
            replicas=replicas.replicas,
            refusals=[admin_messages.refusal(each) for each in refusals],
            quotas=quotas,
            groups=groups,
            words=words,
        )
        found = worst_first(examine(facts, OF_APPS if app else (*OF_REPLICAS, *OF_APPS)))
        return Seen(
            app=app,
            facts=facts,
            findings=[finding for finding in found if finding.level is not Level.OK],
            rows=sorted(rows_of(views, refusals), key=lambda row: row.order),
            refused_apps=frozenset(each.app for each in refusals if each.app and each.ends_by_retry),
            callers=() if app else self._policy.callers,
            recent=() if app else self._problems.newest(),
            store_away=store_away,
        )

    async def _groups(self, app: str, context: Context) -> Sequence[pb.EventGroup]:
        with suppress(InvalidRequest):
            return (await self._servicer.ListEventGroups(pb.ListEventGroupsRequest(app=app), context)).groups
        # The app has no callback.
        return ()
