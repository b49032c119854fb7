"""Health by gRPC and HTTP, from the state of the store, of WeCom and of what is in memory."""

from datetime import timedelta

from grpc_health.v1 import health, health_pb2

from broker.domain.credentials import CredentialKind, Freshness
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Counters
from broker.domain.replica.readiness import NotReady
from broker.telemetry.observer import Telemetry
from broker.usecases.admin import Admin
from broker.usecases.shares.directory import ShareDirectory

SHARES, ADMIN = "wecom_broker.v1.AppShareService", "wecom_broker.v1.AdminService"
EVENTS, CALLBACKS = "wecom_broker.v1.EventService", "wecom_broker.v1.CallbackService"
SUITES, SESSIONS = "wecom_broker.v1.SuiteService", "wecom_broker.v1.MiniProgramService"
SERVICES = (
    "wecom_broker.v1.TokenService",
    SHARES,
    "wecom_broker.v1.JsSdkService",
    "wecom_broker.v1.IdentityService",
    SESSIONS,
    EVENTS,
    CALLBACKS,
    "wecom_broker.v1.WecomApiService",
    SUITES,
    ADMIN,
)
EVERY = timedelta(seconds=1)


class Health:
    """Check the health once a second; an outage of WeCom does not count while valid tokens remain."""

    def __init__(
        self, admin: Admin, shares: ShareDirectory, counters: Counters, clock: Clock, telemetry: Telemetry
    ) -> None:
        self.servicer = health.aio.HealthServicer()
        self._admin = admin
        self._shares = shares
        self._counters = counters
        self._clock = clock
        self._telemetry = telemetry

    def obstacle(self) -> NotReady | None:
        """Return why no new requests should be sent here; None if they can be answered."""
        obstacle = self._admin.readiness.obstacle()
        self._telemetry.readiness_judged(obstacle)
        return obstacle

    async def run(self) -> None:
        """Keep the health of each service up to date, for ever."""
        while True:
            await self.look()
            await self._clock.sleep(EVERY)

    async def look(self) -> None:
        """Set the health of each service, and the gauges."""
        replica_health = self._admin.replica_health
        try:
            # A write: a store that only serves reads counts as unavailable.
            await self._counters.count("health", 10 * EVERY)
            self._telemetry.store_back()
        except StoreUnavailable as error:
            self._telemetry.store_lost(error)
        self.obstacle()
        if not replica_health.draining:
            tokens = self._admin.readiness.without_tokens() is None
            # Share lists are served from memory; without one, shares can be served whenever tokens can.
            shares = tokens or self._shares.has_listing()
            await self._set("", serving=tokens)
            # Events need only the store, sessions need it too, and opening a callback needs no dependency.
            # Authorisations are in memory: they can be looked at while nothing can be fetched.
            exceptions = {
                SHARES: shares,
                EVENTS: replica_health.store.healthy,
                SESSIONS: tokens and replica_health.store.healthy,
                CALLBACKS: True,
                SUITES: True,
                ADMIN: True,
            }
            for service in SERVICES:
                await self._set(service, serving=exceptions.get(service, tokens))
        self._measure()

    async def drain(self) -> None:
        """Tell load balancers to send no more requests; this cannot be undone."""
        self._admin.replica_health.draining = True
        self.obstacle()
        await self.servicer.enter_graceful_shutdown()

    async def _set(self, service: str, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        await self.servicer.set(service, status.SERVING if serving else status.NOT_SERVING)

    def _measure(self) -> None:
        metrics, replica_health = self._telemetry.metrics, self._admin.replica_health
        credential_stats = self._admin.credential_stats()
        for kind in CredentialKind:
            for state in Freshness:
                metrics.credentials.labels(kind, state.name.lower()).set(credential_stats.counts[kind, state])
            metrics.oldest_seconds.labels(kind).set(credential_stats.oldest[kind].total_seconds())
        for dependency in (replica_health.store, replica_health.wecom):
            metrics.dependency_up.labels(dependency.name).set(dependency.healthy)
        metrics.ticket_quota_used.set(self._admin.highest_ticket_use())
        metrics.watchers.set(credential_stats.watchers)
