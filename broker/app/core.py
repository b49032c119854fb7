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
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.follower import MemoryFollower
from broker.usecases.credentials.refresh_ahead import RefreshAhead
from broker.usecases.credentials.source import WecomCredentialSource
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.notifications import Notifications
from broker.usecases.limits.circuit_breaker import CircuitBreakers
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.limits.rate_gate import RateGate
from broker.usecases.limits.ticket_quota import TicketQuota
from broker.usecases.shares.app_shares import AppShares
from broker.usecases.shares.relisting import Relisting
from broker.usecases.shares.revocation import ShareRevocation
from broker.usecases.shares.targets import Targets


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the core takes from the outside."""

    apps: Mapping[str, App]
    storage: Storage
    clock: Clock
    randomness: Randomness
    policy: RefreshPolicy
    observer: Observer
    tasks: Background


class Limits:
    """What stands before WeCom: remembered errors, and the gate that uses them."""

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
    ) -> None:
        storage, clock, observer, tasks = around.storage, around.clock, around.observer, around.tasks
        coordination = storage.coordination
        self._tasks = tasks
        self.error_cache, self.gate = limits.error_cache, limits.gate
        self.notifications = Notifications(coordination)
        self.memory = CredentialCache(around.policy)
        self.quota = TicketQuota(coordination, clock)
        self.fleet = LeasedFlight(coordination, self.notifications, clock, observer)
        self.engine = CredentialEngine(
            credentials=storage.credentials,
            counters=coordination,
            source=WecomCredentialSource(around.apps, tokens, tickets, self.quota),
            memory=self.memory,
            fleet=self.fleet,
            error_cache=self.error_cache,
            clock=clock,
            policy=around.policy,
            observer=observer,
            tasks=tasks,
        )
        self.shares = AppShares(
            apps=around.apps,
            wecom=shares,
            share_lists=storage.share_lists,
            counters=coordination,
            engine=self.engine,
            fleet=self.fleet,
            error_cache=self.error_cache,
            revocation=ShareRevocation(storage.credentials, self.memory, self.error_cache),
            clock=clock,
            observer=observer,
            cooldown=around.policy.cooldown,
            tasks=tasks,
        )
        self.relisting = Relisting(
            apps=around.apps,
            shares=self.shares,
            clock=clock,
            observer=observer,
            sync_every=sync_every,
            called_back=called_back,
            tasks=tasks,
        )
        self.targets = Targets(around.apps, self.shares)
        self.follower = MemoryFollower(storage.credentials, self.memory, clock)
        self.ahead = RefreshAhead(self.engine, self.memory, clock, around.randomness, around.policy, observer)
        self.notifications.subscribe(self.error_cache.on_notice)
        self.notifications.subscribe(self.follower.on_notice)
        self.notifications.subscribe(self.shares.on_notice)
        self.notifications.subscribe(self.relisting.on_notice)

    def start(self) -> None:
        """Keep in step with the other replicas, in the background."""
        self._tasks.keep_running("hearing notices", self.notifications.run)
        self._tasks.keep_running("following the store", self.follower.run)
        self._tasks.keep_running("sharing what could not be shared", self.fleet.republish)
        self._tasks.keep_running("following share lists", self.shares.follow_store)

    def renew(self) -> None:
        """Renew credentials ahead of their end and compare share lists, in the background."""
        self._tasks.keep_running("reconciling shares", self.relisting.reconcile)
        self._tasks.keep_running("refreshing ahead", self.ahead.run)
