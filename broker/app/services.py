"""The services of the broker: callbacks, events, and one gRPC servicer for each proto service."""

from datetime import timedelta

from broker.adapters.wecom.addresses import AddressEndpoints
from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.passthrough import Passthrough
from broker.adapters.wecom.users import UserEndpoints
from broker.app.core import Core
from broker.app.surroundings import Surroundings
from broker.config import mapping
from broker.config.schema import Config
from broker.domain.access import CallerPolicy
from broker.server.grpc.audit import Audit
from broker.server.grpc.rights import Rights
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
from broker.server.grpc.subjects import Subjects
from broker.telemetry.observer import Telemetry
from broker.usecases.access_tokens import AccessTokens
from broker.usecases.admin import Admin
from broker.usecases.api_calls import ApiCalls
from broker.usecases.callbacks.decoder import CallbackDecoder
from broker.usecases.callbacks.external import ExternalCallbacks
from broker.usecases.callbacks.inbox import CallbackInbox
from broker.usecases.callbacks.sender_allowlist import SenderAllowlist
from broker.usecases.callbacks.suite_corps import SuiteCorps
from broker.usecases.callbacks.urls import CallbackUrls
from broker.usecases.events.feed import EventFeed
from broker.usecases.events.maintenance import EventMaintenance
from broker.usecases.identity import Identities
from broker.usecases.login_apps import LoginApps
from broker.usecases.mini_program import MiniProgramLogins
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
        policy: CallerPolicy,
    ) -> None:
        catalog, storage, clock, tasks = around.catalog, around.storage, around.clock, around.tasks
        callbacks, keep = mapping.callbacks(config), mapping.retention(config)
        rights, audit = Rights(policy, Subjects.of(catalog)), Audit(telemetry)
        targets, engine, shares = core.targets, core.engine, core.shares
        decoder = CallbackDecoder(clock, telemetry)
        urls = CallbackUrls(
            catalog,
            callbacks,
            mapping.client_callbacks(config),
            shares=shares,
            relisting=core.relisting,
            corps={
                suite.name: SuiteCorps(suite, core.suites.called_back, clock)
                for suite in catalog.suites.values()
            },
            clock=clock,
            observer=telemetry,
        )
        self._tasks = tasks
        self.feed = EventFeed(
            log=storage.events,
            groups=storage.event_groups,
            notifications=core.notifications,
            clock=clock,
            randomness=around.randomness,
            observer=telemetry,
            tasks=tasks,
            max_attempts=config.events.max_tries,
        )
        self.inbox = CallbackInbox(
            urls=urls,
            decoder=decoder,
            allowlist=SenderAllowlist(engine, AddressEndpoints(client), clock, telemetry, tasks),
            log=storage.events,
            keep=keep,
            clock=clock,
        )
        self._maintenance = EventMaintenance(list(callbacks), storage.event_groups, keep, clock, telemetry)
        self.admin = Admin(
            catalog=catalog,
            authorizations=core.authorizations,
            targets=targets,
            engine=engine,
            shares=shares,
            tickets=core.quota,
            memory=core.memory,
            gate=core.gate,
            replica_health=telemetry.replica_health,
            clock=clock,
            policy=around.policy,
        )
        users = UserEndpoints(client)
        login_apps = LoginApps(catalog, core.authorizations)
        sessions = MiniProgramLogins(
            apps=login_apps,
            targets=targets,
            shares=shares,
            engine=engine,
            users=users,
            sessions=Sessions(
                catalog=catalog,
                authorizations=core.authorizations,
                shares=shares,
                sessions=storage.sessions,
                groups=storage.groups,
                counters=storage.coordination,
                clock=clock,
                randomness=around.randomness,
            ),
            clock=clock,
            watermarks=mapping.watermarks(config),
        )
        identities = Identities(
            login_apps, targets, engine, users, around.randomness, config.wecom.oauth_base
        )
        external = ExternalCallbacks(urls, decoder, clock, around.randomness)
        ack_timeout = timedelta(seconds=config.events.ack_timeout_seconds)
        self.servicers = Servicers(
            tokens=TokenServicer(AccessTokens(targets, engine), audit, clock),
            shares=AppShareServicer(core.parents, shares, core.lister),
            js_sdk=JsSdkServicer(Signing(targets, engine, clock, around.randomness)),
            identity=IdentityServicer(identities, rights),
            mini_programs=MiniProgramServicer(sessions, rights, audit),
            events=EventServicer(self.feed, catalog, rights, list(callbacks), ack_timeout),
            callbacks=CallbackServicer(external, rights),
            wecom_api=WecomApiServicer(ApiCalls(targets, engine, Passthrough(client)), rights),
            suites=SuiteServicer(core.suites.overview, core.suites.links, rights),
            admin=AdminServicer(
                self.admin, SuiteStatuses(around.catalog.suites, core.suite_tickets, core.suites.overview)
            ),
        )

    def start(self) -> None:
        """Maintain the event log and the cached token responses, in the background."""
        self._tasks.keep_running("looking after events", self._maintenance.run)
        self._tasks.keep_running("counting down lives", self.servicers.tokens.count_down)
