"""The services of the broker: callbacks, events, and one gRPC servicer for each proto service."""

from datetime import timedelta

from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.passthrough import Passthrough
from broker.adapters.wecom.users import UserEndpoints
from broker.app.callbacks import Callbacks
from broker.app.core import Core
from broker.app.reloading.settings import LiveSettings
from broker.app.surroundings import Surroundings
from broker.config import mapping
from broker.config.schema import Config
from broker.server.grpc.audit.records import Audit
from broker.server.grpc.entry.rights import Rights
from broker.server.grpc.services.admin import AdminServicer
from broker.server.grpc.services.app_shares import AppShareServicer
from broker.server.grpc.services.callbacks import CallbackServicer
from broker.server.grpc.services.events import EventServicer
from broker.server.grpc.services.identity import IdentityServicer
from broker.server.grpc.services.js_sdk import JsSdkServicer
from broker.server.grpc.services.mini_program import MiniProgramServicer
from broker.server.grpc.services.registration import Servicers
from broker.server.grpc.services.suites import SuiteServicer
from broker.server.grpc.services.tokens import TokenServicer
from broker.server.grpc.services.wecom_api import WecomApiServicer
from broker.server.grpc.warm.methods import warm_methods
from broker.server.http.console.overview import Overview
from broker.telemetry.logging import LogLevel
from broker.telemetry.observer import Telemetry
from broker.usecases.access_tokens import AccessTokens
from broker.usecases.admin import Admin
from broker.usecases.api_calls import ApiCalls
from broker.usecases.audit.journal import AuditJournal
from broker.usecases.bindings import Bindings
from broker.usecases.events.feed import EventFeed
from broker.usecases.events.maintenance import EventMaintenance
from broker.usecases.events.overview import GroupOverview
from broker.usecases.identity import Identities
from broker.usecases.login_apps import LoginApps
from broker.usecases.mini_program import MiniProgramLogins
from broker.usecases.refusals.meetings import Meetings
from broker.usecases.refusals.refusals import Refusals
from broker.usecases.replicas.heartbeats import Heartbeats
from broker.usecases.replicas.reporter import Reporter
from broker.usecases.sessions import Sessions
from broker.usecases.signing import Signing
from broker.usecases.suite_status import SuiteStatuses


class Services:
    """The use cases over one core, and the servicers in front of them."""

    def __init__(
        self,
        config: Config,
        around: Surroundings,
        core: Core,
        *,
        client: WecomClient,
        telemetry: Telemetry,
        settings: LiveSettings,
        journal: AuditJournal,
        replica: str,
        log_level: LogLevel,
    ) -> None:
        catalog, clock, randomness, engine = around.catalog, around.clock, around.randomness, core.engine
        targets, directory = core.sharing.targets, core.sharing.directory
        with_events = settings.callbacks
        ack_timeout = timedelta(seconds=config.events.ack_timeout_seconds)
        rights, audit = Rights(settings.policy, settings.subjects), Audit(journal, clock, randomness)
        users, login_apps = UserEndpoints(client), LoginApps(catalog, core.authorizations)
        identities = Identities(login_apps, targets, engine, users, randomness, config.wecom.oauth_base)
        logins = _mini_programs(settings, around, core, login_apps, users)
        callbacks = Callbacks(config, settings, around, core, client)
        self._tasks = around.tasks
        self.audit = audit
        self._maintenance = _maintenance(config, settings, around)
        self.inbox = callbacks.inbox
        self.feed = _feed(config, around, core)
        # Of a new configuration, the rules are taken last: the rest of it is there by then.
        settings.policy.on_change(self.feed.follow)
        self.admin = _admin(settings, around, core, telemetry)
        self.meetings = Meetings(core.error_cache)
        reporter = Reporter(replica, self.admin, self.meetings, around.storage.seal_keys.uses, clock)
        self.heartbeats = Heartbeats(around.storage.replicas, around.storage.groups, reporter.report, clock)
        refusals = _refusals(around, core, self.meetings, self.heartbeats)
        statuses = SuiteStatuses(catalog.suites, core.suite_tickets, core.suites.overview)
        self.warm = warm_methods(targets, core.memory, clock, randomness, settings.policy)
        admin = AdminServicer(
            admin=self.admin,
            refusals=refusals,
            lost_codes=core.suites.lost_codes,
            suites=statuses,
            reporter=reporter,
            heartbeats=self.heartbeats,
            groups=GroupOverview(catalog, with_events, around.storage.event_groups),
            log_level=log_level,
            store=around.storage.coordination,
            problems=telemetry.problems,
        )
        self.overview = Overview(admin, self.admin, refusals, settings.policy, telemetry.problems, clock)
        self.servicers = Servicers(
            tokens=TokenServicer(AccessTokens(targets, engine), audit, clock),
            shares=AppShareServicer(core.sharing.parents, directory, core.sharing.lister),
            js_sdk=JsSdkServicer(Signing(targets, engine, clock, randomness), audit),
            identity=IdentityServicer(identities, rights, audit),
            mini_programs=MiniProgramServicer(logins, rights, audit),
            events=EventServicer(self.feed, catalog, rights, with_events, ack_timeout),
            callbacks=CallbackServicer(callbacks.external, rights),
            wecom_api=WecomApiServicer(ApiCalls(targets, engine, Passthrough(client)), rights),
            suites=SuiteServicer(core.suites.overview, core.suites.links, rights),
            admin=admin,
        )

    def start(self) -> None:
        """Maintain the event log in the background."""
        self._tasks.keep_running("reporting to the fleet", self.heartbeats.run)
        self._tasks.keep_running("looking after events", self._maintenance.run)


def _feed(config: Config, around: Surroundings, core: Core) -> EventFeed:
    return EventFeed(
        log=around.storage.events,
        groups=around.storage.event_groups,
        notifications=core.notifications,
        clock=around.clock,
        randomness=around.randomness,
        observer=around.observer,
        tasks=around.tasks,
        max_attempts=config.events.max_tries,
    )


def _maintenance(config: Config, settings: LiveSettings, around: Surroundings) -> EventMaintenance:
    return EventMaintenance(
        settings.callbacks,
        around.storage.event_groups,
        around.storage.parked_events,
        mapping.retention(config),
        around.clock,
        around.observer,
    )


def _admin(settings: LiveSettings, around: Surroundings, core: Core, telemetry: Telemetry) -> Admin:
    return Admin(
        catalog=around.catalog,
        authorizations=core.authorizations,
        targets=core.sharing.targets,
        engine=core.engine,
        shares=core.sharing.directory,
        tickets=core.quota,
        forced=core.forced,
        callers=settings.policy.names,
        memory=core.memory,
        gate=core.gate,
        replica_health=telemetry.replica_health,
        clock=around.clock,
        policy=around.policy,
    )


def _refusals(around: Surroundings, core: Core, meetings: Meetings, heartbeats: Heartbeats) -> Refusals:
    return Refusals(
        catalog=around.catalog,
        error_cache=core.error_cache,
        memory=core.memory,
        meetings=meetings,
        elsewhere=heartbeats.meetings_elsewhere,
        counters=around.storage.coordination,
    )


def _mini_programs(
    settings: LiveSettings, around: Surroundings, core: Core, login_apps: LoginApps, users: UserEndpoints
) -> MiniProgramLogins:
    storage, directory = around.storage, core.sharing.directory
    return MiniProgramLogins(
        apps=login_apps,
        bindings=Bindings(core.engine, storage.coordination, around.clock, around.policy.cooldown),
        targets=core.sharing.targets,
        shares=directory,
        engine=core.engine,
        users=users,
        sessions=Sessions(
            catalog=around.catalog,
            authorizations=core.authorizations,
            shares=directory,
            sessions=storage.sessions,
            groups=storage.groups,
            counters=storage.coordination,
            clock=around.clock,
            randomness=around.randomness,
        ),
        clock=around.clock,
        watermarks=settings.watermarks,
    )
