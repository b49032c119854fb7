"""What an operator sees and may do. Values of credentials are never shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.domain.apps import App, Target
from broker.domain.credentials import CORP_KINDS, CredentialKey, CredentialKind, Freshness, RefreshPolicy
from broker.domain.errors import BrokerError, InvalidRequest
from broker.domain.ports.clock import Clock
from broker.domain.replica.health import ReplicaHealth
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from broker.usecases.credentials.cache import CacheEntry, CredentialCache
from broker.usecases.credentials.census import CredentialCensus, CredentialStats
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.limits.forced import NOBODY, ForcedFetches
from broker.usecases.limits.rate_gate import Limit, QuotaUse, RateGate
from broker.usecases.limits.ticket_quota import HOUR, TicketQuota, limits_of
from broker.usecases.readiness import Readiness
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.parents import KnownAuthorizations
from broker.usecases.shares.targets import Targets

ENDPOINTS = (
    "/cgi-bin/gettoken",
    "/cgi-bin/corpgroup/corp/list_app_share_info",
    "/cgi-bin/corpgroup/corp/gettoken",
    "/cgi-bin/get_jsapi_ticket",
    "/cgi-bin/ticket/get",
    "/cgi-bin/auth/getuserinfo",
    "/cgi-bin/miniprogram/jscode2session",
)

SUITE_ENDPOINTS = (
    "/cgi-bin/service/get_suite_token",
    "/cgi-bin/service/get_pre_auth_code",
    "/cgi-bin/service/v2/get_permanent_code",
    "/cgi-bin/service/auth/getuserinfo3rd",
    "/cgi-bin/service/miniprogram/jscode2session",
)
AUTHORIZED_ENDPOINTS = (
    "/cgi-bin/service/get_corp_token",
    "/cgi-bin/service/v2/get_auth_info",
    "/cgi-bin/service/get_auth_info",
)
"""What is called with a suite's token about one corp, and counts for that corp."""
PROVIDER_ENDPOINTS = ("/cgi-bin/service/get_provider_token",)
COUNTED = frozenset((*ENDPOINTS, *SUITE_ENDPOINTS, *AUTHORIZED_ENDPOINTS, *PROVIDER_ENDPOINTS))
"""What operators are shown the use of."""

MOST_AGENTS = 500
"""How many apps in corps are checked for their ticket limits: more would keep the store busy."""
MOST_CORPS = 100
"""How many corps of a suite are looked at."""


@dataclass(frozen=True, slots=True)
class CredentialView:
    """A credential without its value."""

    key: CredentialKey
    state: Freshness | None
    """None = it was never fetched."""
    generation: int
    age: timedelta | None
    expires_at: datetime | None
    last_error: BrokerError | None
    last_error_at: datetime | None
    watchers: int


class Admin:
    """Inspect one replica, and refresh manually."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        authorizations: KnownAuthorizations,
        targets: Targets,
        engine: CredentialEngine,
        shares: ShareDirectory,
        tickets: TicketQuota,
        forced: ForcedFetches,
        callers: Callable[[], Sequence[str]],
        memory: CredentialCache,
        gate: RateGate,
        replica_health: ReplicaHealth,
        clock: Clock,
        policy: RefreshPolicy,
    ) -> None:
        self._catalog = catalog
        self._authorizations = authorizations
        self._targets = targets
        self._engine = engine
        self._shares = shares
        self._tickets = tickets
        self._forced = forced
        self._callers = callers
        self._memory = memory
        self._gate = gate
        self._clock = clock
        self._policy = policy
        self._census = CredentialCensus(memory, clock, policy)
        self.replica_health = replica_health
        self.readiness = Readiness(replica_health, memory, clock)

    def apps(self) -> list[App | Suite | Provider]:
        """Return what is configured, by name."""
        return sorted(self._catalog.owners(), key=lambda owner: owner.name)

    def credentials(self, app: str = "") -> list[CredentialView]:
        """Return what was asked of this replica, fetched or not, in a stable order. Raises `UnknownApp`."""
        if app:
            self._catalog.owner(app)
        views = [self._view(entry) for entry in self._memory if not app or entry.key.app == app]
        return sorted(views, key=lambda view: view.key.name)

    def credential_count(self) -> int:
        """Return how many credentials this replica holds."""
        return self._memory.credential_count

    async def refresh(
        self, target: Target, kind: CredentialKind, by: str = NOBODY
    ) -> tuple[bool, CredentialView]:
        """Fetch anew, despite remembered errors; return if the value changed.

        Raises `CallerLimited`, and as `AccessTokens`.
        """
        key = _of_kind(await self._targets.locate(target), kind)
        rotated, credential = await self._engine.refresh(key, by)
        return rotated, self._view(self._memory.hold(credential.key))

    async def quotas(self, app: str = "") -> list[QuotaUse]:
        """Return the use of WeCom's limits by corp and endpoint; of suites only what is used.

        Of a suite that is named, the corps whose credentials this replica holds are looked at, too.
        Raises `UnknownApp`, `StoreUnavailable`.
        """
        owners = [self._catalog.owner(app)] if app else self.apps()
        apps = [owner for owner in owners if isinstance(owner, App)]
        calls = await self._gate.quotas(sorted({found.corp_id for found in apps}), ENDPOINTS)
        for owner in owners:
            if isinstance(owner, Suite):
                served = self._served(owner) if app else []
                apps += served
                calls += await self._used([owner.name], SUITE_ENDPOINTS)
                corp_ids = sorted({found.corp_id for found in served})
                calls += await self._used(corp_ids, (*AUTHORIZED_ENDPOINTS, *ENDPOINTS))
            elif isinstance(owner, Provider):
                calls += await self._used([owner.corp_id], PROVIDER_ENDPOINTS)
        agents = {(found.corp_id, found.agent_id) for found in apps}
        for found in apps:
            # Another replica may have fetched a child's ticket, so every child of the app is checked.
            agents |= {(share.corp_id, share.agent_id) for share in self._shares.held(found)}
        looked_at = sorted(agents)[:MOST_AGENTS]
        for limit in dict.fromkeys(limit for agent in looked_at for limit in limits_of(*agent)):
            if used := await self._tickets.used(limit):
                hourly = Limit(HOUR, limit.most)
                callers = await self._forced.of_tickets(limit.corp_id, limit.agent_id, self._callers())
                use = QuotaUse("jsapi_ticket", limit.corp_id, hourly, used, None, limit.agent_id, callers)
                calls.append(use)
        return calls

    async def _used(self, subjects: list[str], endpoints: tuple[str, ...]) -> list[QuotaUse]:
        uses = await self._gate.quotas(subjects, endpoints)
        return [use for use in uses if use.used or use.closed_until]

    def _served(self, suite: Suite) -> list[App]:
        """Return the suite in the corps whose credentials this replica holds; of many, the first."""
        corps = sorted({entry.key.corp_id for entry in self._memory if entry.key.app == suite.name})
        found = [self._authorizations.get((suite.name, corp_id)) for corp_id in corps]
        return [known.app(suite) for known in found if known and known.permanent_code][:MOST_CORPS]

    def highest_ticket_use(self) -> float:
        """Return the highest share of an hourly ticket limit that is used up."""
        return self._tickets.highest()

    def credential_stats(self) -> CredentialStats:
        """Return what this replica holds by kind and state. Called every second, it takes no long look."""
        return self._census.look()

    def watcher_count(self) -> int:
        """Return how many streams watch a credential here."""
        return self._memory.watcher_count

    def _view(self, entry: CacheEntry) -> CredentialView:
        credential, now = entry.credential, self._clock.now()
        return CredentialView(
            entry.key,
            credential.freshness(now, self._policy) if credential else None,
            credential.generation if credential else 0,
            now - credential.obtained_at if credential else None,
            credential.expires_at if credential else None,
            entry.last_error,
            entry.last_error_at,
            len(entry.watchers),
        )


def _of_kind(key: CredentialKey, kind: CredentialKind) -> CredentialKey:
    """Return the key of the target's credential of that kind. Raises `InvalidRequest`.

    A suite itself and a provider have one credential only, which an access token stands for.
    """
    if kind in (key.kind, CredentialKind.ACCESS_TOKEN):
        return key
    if key.kind in CORP_KINDS and kind in CORP_KINDS:
        return key.of_kind(kind)
    raise InvalidRequest("kind", "is no credential of this target", app=key.app)
