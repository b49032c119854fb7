"""A broker that serves: the order in which its parts start and stop."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from broker.adapters.system import SystemClock, SystemRandomness
from broker.adapters.wecom.client import MOST_AT_WILL, WecomClient, connect_wecom
from broker.adapters.wecom.egress import Egress
from broker.adapters.wecom.passthrough import CALLS_AT_ONCE as PASSED_ON_AT_ONCE
from broker.adapters.wecom.shares import ShareEndpoints
from broker.adapters.wecom.suites.authorizations import AuthorizationEndpoints
from broker.adapters.wecom.suites.tokens import SuiteTokenEndpoints
from broker.adapters.wecom.tickets import TicketEndpoints
from broker.adapters.wecom.tokens import TokenEndpoints
from broker.app import listening
from broker.app.audit import open_audit
from broker.app.core import Core, Limits
from broker.app.measures import measure
from broker.app.reloading.reload import ConfigReload, Prepare
from broker.app.reloading.settings import LiveSettings
from broker.app.services import Services
from broker.app.storage import Storage
from broker.app.store import open_store
from broker.app.surroundings import Surroundings
from broker.app.tracing.composed import AllTracer
from broker.app.tracing.opening import open_tracing
from broker.config import mapping
from broker.config.schema import Config
from broker.domain.caller_policy import CallerPolicy
from broker.domain.ports.clock import Ask
from broker.domain.replica.clocks import Witness
from broker.server.grpc.audit.calls import CallAudit
from broker.server.grpc.entry.admission import Admission
from broker.server.grpc.entry.authorizer import Authorizer
from broker.server.grpc.entry.fair_pool import fair_pools
from broker.server.grpc.entry.identity import Identity
from broker.server.grpc.entry.open_streams import OpenStreams
from broker.server.grpc.guard import RpcGuard
from broker.server.health import Health
from broker.telemetry.audit.trail import QueuedTrail
from broker.telemetry.logging import LogLevel
from broker.telemetry.observer import Telemetry
from broker.telemetry.suites import SuiteTelemetry
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.clock_watch import ClockWatch


@dataclass(frozen=True, slots=True)
class RunningBroker:
    """A broker that serves."""

    grpc_addresses: list[str]
    http_port: int
    console_port: int | None
    telemetry: Telemetry
    health: Health
    memory: CredentialCache
    audit: QueuedTrail
    tls: listening.ListenersTls
    policy: CallerPolicy
    reload: ConfigReload
    preloading: "asyncio.Task[None]"
    """Ends once the fleet's credentials are in memory; calls are answered meanwhile, too."""


LISTS_LOADED_WITHIN = timedelta(seconds=2)
"""How long a start waits for share lists; without them it serves all the same."""


@asynccontextmanager
async def running_broker(
    config: Config,
    read: Callable[[], Config] | None = None,
    tracer: AllTracer | None = None,
    *,
    about_to_listen: Callable[[], None] = lambda: None,
) -> AsyncIterator[RunningBroker]:
    """Serve until the context exits: then not serving → pause → stop with grace → stop refreshers → close.

    `read` reads the configuration anew for a reload; `tracer` takes the place of the one that is configured.
    `about_to_listen` is called just before the listeners open. Raises `CannotStart`.
    """
    log_level = LogLevel(config.log.level, config.log.format)
    clock, randomness = SystemClock(), SystemRandomness()
    telemetry = Telemetry(clock)
    settings = LiveSettings(config)
    policy = settings.policy
    async with AsyncExitStack() as stack:
        # Closed last, so that what others do at the end is exported, too.
        tracing = await stack.enter_async_context(open_tracing(config, settings, tracer))
        audit = await stack.enter_async_context(open_audit(config, telemetry, clock))
        storage = await stack.enter_async_context(
            open_store(config, clock, telemetry, settings.logins, tracing.tracer, settings.catalog.identity)
        )
        background = await stack.enter_async_context(Background(telemetry, clock))
        around = Surroundings(
            settings.catalog,
            storage,
            clock,
            randomness,
            mapping.refresh_policy(config),
            telemetry,
            SuiteTelemetry(telemetry.metrics, clock),
            audit.trail,
            background,
            tracing.tracer,
        )
        limits = Limits(around)
        egress = Egress(config.wecom.proxy, config.wecom.ca, config.wecom.resolve)
        telemetry.egress_chosen(egress.described())
        client = await stack.enter_async_context(
            connect_wecom(
                base=config.wecom.api_base,
                longest=timedelta(seconds=config.wecom.timeout_seconds),
                egress=egress,
                gate=limits.gate,
                clock=clock,
                randomness=randomness,
                observer=telemetry,
                on_time=partial(clock.hear, Witness.WECOM),
                tracer=tracing.tracer,
            )
        )
        clock_watch = ClockWatch(clock, _clocks(storage, client), telemetry)
        await clock_watch.settle()
        core = Core(
            around,
            limits,
            tokens=TokenEndpoints(client),
            tickets=TicketEndpoints(client),
            shares=ShareEndpoints(client),
            called_back=settings.callbacks,
            suites=SuiteTokenEndpoints(client),
            authorizations=AuthorizationEndpoints(client),
            sync_every=timedelta(seconds=config.refresh.share_sync_seconds),
            forced_limit=lambda name: (
                caller.limits.forced_per_minute if (caller := policy.named(name)) else None
            ),
            # A dead token may be replaced on the way, so two calls.
            longest_call=timedelta(seconds=2 * config.wecom.timeout_seconds + 5),
        )
        services = Services(
            config,
            around,
            core,
            client=client,
            telemetry=telemetry,
            settings=settings,
            journal=audit.journal,
            replica=_replica_name(),
            log_level=log_level,
        )
        health = Health(services.admin, core.sharing.directory, storage.coordination, clock, telemetry)
        await health.look()
        storage.seal_keys.on_change(core.notifications.look_again)
        core.start()
        core.renew()
        preloading = await core.preload(LISTS_LOADED_WITHIN)
        services.start()
        for name, run in (
            ("watching health", health.run),
            ("watching clocks", clock_watch.run),
            ("summing audit records", audit.journal.run),
            ("publishing counts", partial(telemetry.metrics.keep_publishing, clock)),
        ):
            background.keep_running(name, run)
        stack.callback(telemetry.metrics.publish)
        admission = Admission(policy, pools=fair_pools(PASSED_ON_AT_ONCE, MOST_AT_WILL))
        measure(telemetry.metrics, settings, admission, core)
        shared = (
            admission,
            Authorizer(policy, settings.subjects),
            OpenStreams(policy),
            CallAudit(services.audit),
            telemetry.metrics,
        )

        def guard_for(caller: str, all_have_certificates: bool) -> RpcGuard:  # noqa: FBT001 - of a callable
            identity = Identity(policy, clock, everybody=caller, all_have_certificates=all_have_certificates)
            return RpcGuard(
                identity, *shared, met=tracing.meeting(services.meetings.note), warm=services.warm
            )

        tls = listening.ListenersTls.of(config, clock, telemetry)
        addresses = await listening.open_grpc(
            stack,
            config,
            lambda caller, all_have: tracing.choosing(guard_for(caller, all_have)),
            services,
            health,
            telemetry,
            tls=tls.server,
            about_to_listen=about_to_listen,
        )
        port = await listening.open_http(stack, config, tracing, services, health, telemetry)
        console_port = await listening.open_console(stack, config, guard_for, services, settings, tls.console)
        try:
            reload = ConfigReload(
                config,
                read or (lambda: config),
                tls.read_again,
                storage.seal_keys,
                prepared_by=(
                    settings.prepare,
                    _following(config, log_level),
                    lambda _: audit.trail.reopen,
                    lambda _: egress.trust.renew,
                    _logging_in(config, egress),
                ),
                telemetry=telemetry,
                clock=clock,
            )
            yield RunningBroker(
                addresses,
                port,
                console_port,
                telemetry,
                health,
                core.memory,
                audit.trail,
                tls,
                policy,
                reload,
                preloading,
            )
        finally:
            await health.drain()
            await services.heartbeats.leave()
            # Load balancers must notice before connections close.
            await asyncio.sleep(min(config.server.drain_seconds / 10, 1.0))
            # Watches would last the whole grace period; their clients re-open them elsewhere.
            core.memory.close_watches()
            core.sharing.directory.close_watches()
            await core.suites.close()
            services.feed.close()


def _clocks(storage: Storage, client: WecomClient) -> dict[Witness, Ask]:
    """Return the clocks that can be asked."""
    asks: dict[Witness, Ask] = {Witness.WECOM: client.seconds}
    return {Witness.STORE: storage.seconds, **asks} if storage.seconds else asks


def _logging_in(running: Config, egress: Egress) -> Prepare:
    """Return what takes over another user and password at the proxy."""

    def apply(new: Config) -> None:
        # Another proxy is taken at a restart: its password is nothing to show to this one.
        if new.wecom.proxy_place == running.wecom.proxy_place:
            egress.login.renew(new.wecom.proxy)

    return lambda new: partial(apply, new)


def _following(running: Config, log_level: LogLevel) -> Prepare:
    """Return what takes over a log level that the configuration changes."""
    present = running.log.level

    def apply(new: Config) -> None:
        nonlocal present
        if new.log.level != present:
            present = new.log.level
            log_level.replace(present)

    return lambda new: partial(apply, new)


def _replica_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"
