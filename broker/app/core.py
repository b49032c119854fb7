"""The engine and what works with it, built once for the broker and for the tests."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import timedelta

from broker.app.sharing import Sharing
from broker.app.suites import Suites, SuiteState
from broker.app.surroundings import Surroundings
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import StoreUnavailable
from broker.domain.live import Live
from broker.domain.ports.wecom import (
    WecomAuthorizations,
    WecomShares,
    WecomSuites,
    WecomTickets,
    WecomTokens,
)
from broker.domain.suites.catalog import Catalog, CatalogChange, unknown
from broker.usecases.admin import COUNTED
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.credentials.refresh_ahead import RefreshAhead
from broker.usecases.credentials.renewal_pace import UNPACED, RenewalPace
from broker.usecases.credentials.source import WecomCredentialSource
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.notifications import Notifications
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.limits.circuit_breaker import CircuitBreakers
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.limits.forced import ForcedFetches
from broker.usecases.limits.rate_gate import RateGate
from broker.usecases.limits.ticket_quota import TicketQuota
from broker.usecases.shares.parents import KnownAuthorizations
from broker.usecases.shares.preloading import Preloading


def fingerprints(catalog: Catalog) -> dict[str, str]:
    """Return what tells the present secret of each app from another one."""
    return {owner.name: owner.secret.fingerprint() for owner in catalog.owners()}


class Limits:
    """What limits calls to WeCom: remembered errors, and the gate that uses them."""

    def __init__(self, around: Surroundings) -> None:
        present = Live(fingerprints(around.catalog))
        # A refusal of another secret does not apply any more.
        around.catalog.on_change(lambda _: present.replace(fingerprints(around.catalog)))
        self.error_cache = ErrorCache(
            around.storage.errors, around.storage.groups, around.clock, around.randomness, present
        )
        breakers = CircuitBreakers(around.clock, around.randomness)
        self.gate = RateGate(around.storage.coordination, self.error_cache, breakers, COUNTED, around.tasks)


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
        suites: WecomSuites,
        authorizations: WecomAuthorizations,
        called_back: Collection[str],
        sync_every: timedelta,
        longest_call: timedelta,
        known: KnownAuthorizations | None = None,
        forced_limit: Callable[[str], int | None] = lambda _: None,
        unpaced: int = UNPACED,
    ) -> None:
        storage, clock, observer, tasks = around.storage, around.clock, around.observer, around.tasks
        coordination = storage.coordination
        self._tasks = tasks
        self.error_cache, self.gate = limits.error_cache, limits.gate
        self.notifications = Notifications(coordination)
        self.memory = CredentialCache(around.policy)
        self.quota = TicketQuota(coordination, clock)
        self.fleet = LeasedFlight(coordination, self.notifications, clock, observer, tracer=around.tracer)
        state = SuiteState(
            around,
            wecom=authorizations,
            memory=self.memory,
            fleet=self.fleet,
            error_cache=self.error_cache,
        )
        self.authorizations, self.installations = state.authorizations, state.installations
        self.suite_tickets = state.tickets
        credentials = Replicated(storage.credentials, self.memory, clock)
        self.forced = forced = ForcedFetches(coordination, clock, forced_limit, observer)
        self.pace = pace = RenewalPace(self.memory, clock, unpaced=unpaced)
        self.engine = CredentialEngine(
            replicated=credentials,
            counters=coordination,
            forced=forced,
            source=WecomCredentialSource(
                catalog=around.catalog,
                tokens=tokens,
                tickets=tickets,
                suites=suites,
                suite_tickets=state.tickets,
                authorizations=state.authorizations,
                suite_calls=state.calls,
                quota=self.quota,
                clock=clock,
            ),
            memory=self.memory,
            pace=pace,
            fleet=self.fleet,
            error_cache=self.error_cache,
            clock=clock,
            policy=around.policy,
            observer=observer,
            audit=around.audit,
            tasks=tasks,
            on_unshared=self._note_unshared,
        )
        self.sharing = Sharing(
            around,
            wecom=shares,
            authorized=known or state.authorizations,
            engine=self.engine,
            memory=self.memory,
            fleet=self.fleet,
            error_cache=self.error_cache,
            called_back=called_back,
            sync_every=sync_every,
        )
        self.suites = Suites(
            around,
            state,
            engine=self.engine,
            forced=forced,
            fleet=self.fleet,
            lister=self.sharing.lister,
            relisting=self.sharing.relisting,
            longest_call=longest_call,
        )
        self.ahead = RefreshAhead(
            self.engine,
            self.memory,
            pace,
            clock,
            around.randomness,
            policy=around.policy,
            observer=observer,
        )
        self._preloading = Preloading(
            catalog=around.catalog,
            credentials=credentials,
            lister=self.sharing.lister,
            parents=self.sharing.parents,
            authorizations=known or state.authorizations,
            clock=clock,
            observer=observer,
        )
        errors = Replicated(storage.errors, self.error_cache, clock)
        self._following = {
            "following credentials": credentials.run,
            "following share lists": self.sharing.replicated.run,
            "following remembered errors": errors.run,
        }
        self.notifications.subscribe(errors.on_notice)
        self.notifications.subscribe(credentials.on_notice)
        self.sharing.subscribe(self.notifications)
        state.subscribe(self.notifications)

        self._catalog = around.catalog
        self.memory.on_put(self._drop_of_removed)
        around.catalog.on_change(self._follow)

    def _follow(self, change: CatalogChange) -> None:
        """Free what is held for apps that are not configured any more, and begin with those that are new."""
        for name in change.ended:
            self.memory.end(name, unknown(name) if name in change.removed else None)
        for name in change.with_other_secret:
            self.memory.try_again(name)
        self.sharing.follow(change)
        self.suites.follow(change)

    def _note_unshared(self, key: CredentialKey) -> None:
        # What lists shares needs the engine, and so it is made after it.
        self.sharing.unannounced.on_refused(key)

    def _drop_of_removed(self, credential: Credential) -> None:
        # It was on its way when its app was removed.
        if not self._catalog.knows(name := credential.key.app):
            self.memory.end(name, unknown(name))

    def start(self) -> None:
        """Keep in step with the other replicas, in the background."""
        self._tasks.keep_running("hearing notices", self.notifications.run)
        for name, run in self._following.items():
            self._tasks.keep_running(name, run)

        self.suites.start()

    async def preloaded(self) -> None:
        """Bring what the store holds into memory, and return."""
        await self._preloading.run()

    async def preload(self, lists_within: timedelta) -> asyncio.Task[None]:
        """Bring what the store holds into memory, in the background; return the task, which ends.

        Share lists are there when this returns, unless the store is away or takes longer than that.
        """
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(lists_within.total_seconds()):
                # A task has a context of its own: calls would inherit what this one sets, such as its budget.
                await self._tasks.create_task(self._preloading.lists())
        return self._tasks.create_task(self.preloaded())

    def renew(self) -> None:
        """Renew credentials before they expire and compare share lists, in the background."""
        self._tasks.keep_running("reconciling shares", self.sharing.reconciliation.run)
        self._tasks.keep_running("refreshing ahead", self.ahead.run)
