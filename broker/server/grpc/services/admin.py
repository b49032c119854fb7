"""`AdminService`: what operators look at."""

from wecom_broker.v1 import admin_service_pb2 as pb
from wecom_broker.v1 import admin_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.errors import InvalidRequest
from broker.domain.ports.store import Coordination
from broker.server.grpc import admin_messages, event_messages, messages
from broker.server.grpc.context import Context
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.rights import Of, requires
from broker.telemetry.logging import LogLevel
from broker.telemetry.recent_problems import RecentProblems
from broker.usecases.admin import Admin
from broker.usecases.events.overview import GroupOverview
from broker.usecases.refusals.refusals import Refusals
from broker.usecases.replicas.heartbeats import Heartbeats
from broker.usecases.replicas.reporter import Reporter
from broker.usecases.suite_status import SuiteStatuses
from broker.usecases.suites.installations import LostCodes


class AdminServicer(pb_grpc.AdminServiceServicer):
    """Parse, ask `Admin`, reply."""

    def __init__(
        self,
        *,
        admin: Admin,
        refusals: Refusals,
        lost_codes: LostCodes,
        suites: SuiteStatuses,
        reporter: Reporter,
        heartbeats: Heartbeats,
        groups: GroupOverview,
        log_level: LogLevel,
        store: Coordination,
        problems: RecentProblems,
    ) -> None:
        self._problems = problems
        self._store = store
        self._admin = admin
        self._refusals = refusals
        self._lost_codes = lost_codes
        self._suites = suites
        self._reporter = reporter
        self._heartbeats = heartbeats
        self._groups = groups
        self._log_level = log_level

    @requires(Action.ADMIN_READ, of=Of.REQUEST_OR_ALL_APPS)
    async def ListApps(self, request: pb.ListAppsRequest, context: Context) -> pb.ListAppsResponse:
        """Return the configured apps, suites and providers."""
        return pb.ListAppsResponse(apps=[admin_messages.app(app) for app in self._admin.apps()])

    @requires(Action.ADMIN_READ, of=Of.REQUEST_OR_ALL_APPS)
    async def ListCredentials(
        self, request: pb.ListCredentialsRequest, context: Context
    ) -> pb.ListCredentialsResponse:
        """Return one page of the credentials that this replica knows of."""
        views = self._admin.credentials(request.app and messages.app_name("app", request.app))
        shown, token = messages.page(
            views,
            lambda view: view.key.name,
            admin_messages.credential_info,
            request.page_size,
            request.page_token,
        )
        return pb.ListCredentialsResponse(credentials=shown, next_page_token=token)

    @requires(Action.ADMIN_READ, of=Of.REQUEST_OR_ALL_APPS)
    async def ListRefusals(
        self, request: pb.ListRefusalsRequest, context: Context
    ) -> pb.ListRefusalsResponse:
        """Return one page of what is remembered."""
        found = await self._refusals.list(request.app and messages.app_name("app", request.app))
        shown, token = messages.page(
            found,
            lambda refusal: refusal.scope,
            admin_messages.refusal,
            request.page_size,
            request.page_token,
        )
        return pb.ListRefusalsResponse(refusals=shown, next_page_token=token)

    @requires(Action.ADMIN_REFRESH, operates=True)
    async def RetryRefused(
        self, request: pb.RetryRefusedRequest, context: Context
    ) -> pb.RetryRefusedResponse:
        """Forget an app's refusals, and acknowledge a suite's lost codes."""
        app = messages.app_name("app", request.app)
        # First what may be refused: then a caller who gets an error has changed nothing.
        cleared = await self._refusals.retry(app)
        acknowledged = await self._lost_codes.acknowledge(app)
        return pb.RetryRefusedResponse(cleared_count=cleared, acknowledged_count=acknowledged)

    @requires(Action.ADMIN_REFRESH, operates=True)
    async def RefreshCredential(
        self, request: pb.RefreshCredentialRequest, context: Context
    ) -> pb.RefreshCredentialResponse:
        """Fetch a credential again."""
        kind = admin_messages.KINDS_IN.get(request.kind)
        if kind is None:
            raise InvalidRequest("kind", "is not a known kind of credential")
        rotated, view = await self._admin.refresh(
            messages.target(request.target), kind, current_caller.get().name
        )
        return pb.RefreshCredentialResponse(credential=admin_messages.credential_info(view), rotated=rotated)

    @requires(Action.ADMIN_READ, of=Of.REQUEST_OR_ALL_APPS)
    async def GetQuotas(self, request: pb.GetQuotasRequest, context: Context) -> pb.GetQuotasResponse:
        """Return how much of WeCom's limits is used."""
        quotas = await self._admin.quotas(request.app and messages.app_name("app", request.app))
        return pb.GetQuotasResponse(quotas=[admin_messages.quota(use) for use in quotas])

    @requires(Action.ADMIN_READ, of=Of.REQUEST_OR_ALL_APPS)
    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        """Return the state of this replica."""
        replica_health, report = self._admin.replica_health, self._reporter.report()
        return pb.GetStatusResponse(
            version=report.version,
            start_time=report.started_at,
            serving=not report.obstacle,
            obstacle=report.obstacle,
            dependencies=[
                admin_messages.dependency(replica_health.store),
                admin_messages.dependency(replica_health.wecom),
            ],
            credential_count=report.credentials,
            watcher_count=self._admin.watcher_count(),
            store=admin_messages.store_status(await self._store.status()),
            clock=admin_messages.clock_status(replica_health.clocks),
            config=admin_messages.config_status(replica_health.config),
            suites=[admin_messages.suite_status(status) for status in self._suites.all()],
            problems=map(admin_messages.recent_problem, self._problems.newest()),
            replica=report.name,
            refusal_count=len(await self._refusals.list()),
            seal_keys=map(admin_messages.seal_key, report.seal_keys),
            certificates=admin_messages.certificates(report.certificates),
        )

    @requires(Action.ADMIN_READ, of=Of.REQUEST_OR_ALL_APPS)
    async def ListReplicas(
        self, request: pb.ListReplicasRequest, context: Context
    ) -> pb.ListReplicasResponse:
        """Return all replicas, this one as it is now."""
        own = self._reporter.report()
        return pb.ListReplicasResponse(
            replicas=[
                admin_messages.replica(seen, own.at, current=seen.name == own.name)
                for seen in await self._heartbeats.fleet()
            ]
        )

    @requires(Action.ADMIN_READ, of=Of.REQUEST_OR_ALL_APPS)
    async def ListEventGroups(
        self, request: pb.ListEventGroupsRequest, context: Context
    ) -> pb.ListEventGroupsResponse:
        """Return how far each group is behind."""
        lags = await self._groups.list(request.app and messages.app_name("app", request.app))
        return pb.ListEventGroupsResponse(groups=map(admin_messages.event_group, lags))

    @requires(Action.ADMIN_REFRESH, operates=True)
    async def DeleteEventGroup(
        self, request: pb.DeleteEventGroupRequest, context: Context
    ) -> pb.DeleteEventGroupResponse:
        """Delete a group."""
        app, group = messages.app_name("app", request.app), event_messages.full_group_name(request.group)
        return pb.DeleteEventGroupResponse(deleted=await self._groups.delete(app, group))

    @requires(Action.ADMIN_REFRESH, of=Of.REQUEST_OR_ALL_APPS, operates=True)
    async def SetLogLevel(self, request: pb.SetLogLevelRequest, context: Context) -> pb.SetLogLevelResponse:
        """Change how much this replica logs."""
        level = admin_messages.LOG_LEVELS_IN.get(request.level)
        if level is None:
            raise InvalidRequest("level", "is none of DEBUG, INFO, WARNING and ERROR")
        previous = admin_messages.LOG_LEVELS[self._log_level.replace(level)]
        return pb.SetLogLevelResponse(previous_level=previous, replica=self._reporter.name)
