"""The engine and what works with it, built once for the broker and for the tests."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from broker.app.storage import Storage
from broker.domain.apps import App
from broker.domain.credentials import RefreshPolicy
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.observer import Observer
from broker.domain.ports.wecom import WecomShares, WecomTickets, WecomTokens
from broker.domain.suites.catalog import Catalog
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.refresh_ahead import RefreshAhead
from broker.usecases.credentials.source import WecomCredentialSource
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.notifications import Notifications
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.limits.circuit_breaker import CircuitBreakers
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.limits.rate_gate import RateGate
from broker.usecases.limits.ticket_quota import TicketQuota
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.lists import ShareLists
from broker.usecases.shares.parents import KnownAuthorizations, NoAuthorizations, Parents
from broker.usecases.shares.reconciling import Reconciliation
from broker.usecases.shares.relisting import Relisting
from broker.usecases.shares.revocation import ShareRevocation
from broker.usecases.shares.targets import Targets


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the core needs from outside."""

    apps: Mapping[str, App]
    storage: Storage
    clock: Clock
    randomness: Randomness
    policy: RefreshPolicy
    observer: Observer
    tasks: Background


class Limits:
    """What limits calls to WeCom: remembered errors, and the gate that uses them."""

    def __init__(self, around: Surroundings) -> None:
        fingerprints = {app.name: app.secret.fingerprint() for app in around.apps.values()}
        self.error_cache = ErrorCache(around.storage.errors, around.clock, around.randomness, fingerprints)
        breakers = CircuitBreakers(around.clock, around.randomness)
        self.gate = RateGate(around.storage.coordination, self.error_cache, breakers)


class Core:
    """Credentials, shares and targets over one store and one WeCom. `start` runs its background work."""

    def __init__(
        self,
        around: Surroundings,
        limits: Limits,
        *,
        tokens: WecomTokens,
        tickets: WecomTickets,
        shares: WecomShares,
        called_back: Collection[str],
        sync_every: timedelta,
        catalog: Catalog | None = None,
        authorizations: KnownAuthorizations | None = None,
    ) -> None:
        storage, clock, observer, tasks = around.storage, around.clock, around.observer, around.tasks
        coordination = storage.coordination
        self._tasks = tasks
        self.error_cache, self.gate = limits.error_cache, limits.gate
        self.notifications = Notifications(coordination)
        self.memory = CredentialCache(around.policy)
        self.quota = TicketQuota(coordination, clock)
        self.fleet = LeasedFlight(coordination, self.notifications, clock, observer)
        credentials = Replicated(storage.credentials, self.memory, clock)
        self.engine = CredentialEngine(
            replicated=credentials,
            counters=coordination,
            source=WecomCredentialSource(around.apps, tokens, tickets, self.quota, clock),
            memory=self.memory,
            fleet=self.fleet,
            error_cache=self.error_cache,
            clock=clock,
            policy=around.policy,
            observer=observer,
            tasks=tasks,
        )
        revocation = ShareRevocation(storage.credentials, self.memory, self.error_cache)
        self.lists = ShareLists(revocation, observer)
        share_lists = Replicated(storage.share_lists, self.lists, clock)
        self.parents = Parents(catalog or Catalog(around.apps), authorizations or NoAuthorizations())
        self.lister = ShareLister(
            wecom=shares,
            observer=observer,
            lists=self.lists,
            replicated=share_lists,
            counters=coordination,
            engine=self.engine,
            fleet=self.fleet,
            error_cache=self.error_cache,
            clock=clock,
            cooldown=around.policy.cooldown,
            tasks=tasks,
            on_listed=self.parents.note_sharing,
        )
        self.shares = ShareDirectory(self.lists, self.lister, clock)
        self.reconciliation = Reconciliation(
            lists=self.lists,
            lister=self.lister,
            parents=self.parents,
            clock=clock,
            observer=observer,
            sync_every=sync_every,
        )
        self.relisting = Relisting(
            lists=self.lists,
            lister=self.lister,
            parents=self.parents,
            clock=clock,
            observer=observer,
            called_back=called_back,
            tasks=tasks,
        )
        self.targets = Targets(around.apps, self.shares)
        self.ahead = RefreshAhead(self.engine, self.memory, clock, around.randomness, around.policy, observer)
        errors = Replicated(storage.errors, self.error_cache, clock)
        self._following = {
            "following credentials": credentials.run,
            "following share lists": share_lists.run,
            "following remembered errors": errors.run,
        }
        for on_notice in (
            errors.on_notice,
            credentials.on_notice,
            share_lists.on_notice,
            self.relisting.on_notice,
        ):
            self.notifications.subscribe(on_notice)

    def start(self) -> None:
        """Keep in step with the other replicas, in the background."""
        self._tasks.keep_running("hearing notices", self.notifications.run)
        for name, run in self._following.items():
            self._tasks.keep_running(name, run)

    def renew(self) -> None:
        """Renew credentials before they expire and compare share lists, in the background."""
        self._tasks.keep_running("reconciling shares", self.reconciliation.run)
        self._tasks.keep_running("refreshing ahead", self.ahead.run)
