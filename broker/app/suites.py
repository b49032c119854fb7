"""The parts that serve suites, over one store and one WeCom."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial

from broker.app.surroundings import Surroundings
from broker.domain.credentials import Credential
from broker.domain.errors import BrokerError, StoreUnavailable
from broker.domain.ports.wecom import WecomAuthorizations
from broker.domain.suites.authorization import AuthorizationState
from broker.domain.suites.catalog import CatalogChange, unknown
from broker.domain.suites.suite import Suite
from broker.usecases.callbacks.suite_parts import SuiteParts
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.notifications import Notifications
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.limits.forced import ForcedFetches
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.relisting import Relisting
from broker.usecases.suites.authorizations import Authorizations
from broker.usecases.suites.calls import SuiteCalls
from broker.usecases.suites.cancellation import Cancellation
from broker.usecases.suites.changes import Changes
from broker.usecases.suites.credentials import SuiteCredentials
from broker.usecases.suites.events import SuiteEvents
from broker.usecases.suites.exchanges import Exchanges
from broker.usecases.suites.installations import Installations, LostCodes
from broker.usecases.suites.links import InstallLinks
from broker.usecases.suites.overview import SuiteAuthorizations
from broker.usecases.suites.rereading import Rereading
from broker.usecases.suites.tickets import SuiteTickets

SWEEP_INTERVAL = timedelta(minutes=10)


class SuiteState:
    """What the fleet knows of its suites: credentials are fetched with it."""

    def __init__(
        self,
        around: Surroundings,
        *,
        wecom: WecomAuthorizations,
        memory: CredentialCache,
        fleet: LeasedFlight,
        error_cache: ErrorCache,
    ) -> None:
        suites, storage = around.catalog.suites, around.storage
        clock, observer = around.clock, around.suite_observer
        self._clock = clock
        self.wecom = wecom
        self.changes = Changes()
        self.credentials = SuiteCredentials(
            credentials=storage.credentials,
            sessions=storage.sessions,
            groups=storage.groups,
            memory=memory,
            error_cache=error_cache,
        )
        self.authorizations = Authorizations(
            suites=suites,
            authorizations=storage.authorizations,
            groups=storage.groups,
            fleet=fleet,
            changes=self.changes,
            clock=clock,
            observer=observer,
            evict=self.credentials.evict,
        )
        # A token may be on its way into memory when its corp cancels.
        memory.on_put(self._drop_of_cancelled)
        self._memory = memory
        self.installations = Installations(
            suites=suites,
            installations=storage.installations,
            groups=storage.groups,
            changes=self.changes,
            clock=clock,
        )
        self.tickets = SuiteTickets(suites, storage.suite_tickets, error_cache, clock, observer)
        self.calls = SuiteCalls(self.authorizations, wecom)

    def _drop_of_cancelled(self, credential: Credential) -> None:
        key = credential.key
        corp = self.authorizations.get((key.app, key.parent_corp_id or key.corp_id))
        if corp and corp.state is AuthorizationState.CANCELLED:
            self._memory.drop(key)

    async def sweep(self) -> None:
        """Forget what has ended, for ever."""
        while True:
            await self._clock.sleep(SWEEP_INTERVAL)
            self.installations.forget_ended()
            with suppress(StoreUnavailable):
                await self.authorizations.forget_ended()

    def end(self, suite: str, error: BrokerError | None) -> None:
        """Forget whatever is held of a suite; its watches end with the error, or are to be opened again."""
        self.tickets.end(suite)
        self.authorizations.end(suite)
        self.installations.end(suite)
        self.changes.end(suite, error)

    def subscribe(self, notifications: Notifications) -> None:
        """Hear what other replicas did."""
        for copies in (self.tickets, self.authorizations, self.installations):
            notifications.subscribe(copies.replicated.on_notice)
        notifications.subscribe(self.authorizations.enlisted.on_notice)
        notifications.subscribe(self.installations.enlisted.on_notice)


class Suites:
    """Whatever is done for suites. `start` runs the background work."""

    def __init__(
        self,
        around: Surroundings,
        state: SuiteState,
        *,
        engine: CredentialEngine,
        forced: ForcedFetches,
        fleet: LeasedFlight,
        lister: ShareLister,
        relisting: Relisting,
        longest_call: timedelta,
    ) -> None:
        catalog, clock, tasks = around.catalog, around.clock, around.tasks
        self._catalog = catalog
        self._state = state
        self._tasks = tasks
        self._each = dict[Suite, tuple[asyncio.Task[None], ...]]()
        self._is_running = self._started = False
        self.lost_codes = lost_codes = LostCodes(state.installations, fleet)
        self.cancellation = cancellation = Cancellation(
            catalog.suites, state.authorizations, state.credentials, lost_codes, lister.end, clock
        )
        self.rereading = Rereading(
            suites=catalog.suites,
            authorizations=state.authorizations,
            cancellation=cancellation,
            credentials=state.credentials,
            wecom=state.wecom,
            calls=state.calls,
            engine=engine,
            fleet=fleet,
            clock=clock,
            randomness=around.randomness,
            observer=around.observer,
            tasks=tasks,
        )
        self.exchanges = Exchanges(
            suites=catalog.suites,
            installations=state.installations,
            records=around.storage.installations,
            authorizations=state.authorizations,
            credentials=state.credentials,
            wecom=state.wecom,
            engine=engine,
            fleet=fleet,
            changes=state.changes,
            clock=clock,
            observer=around.suite_observer,
            lost_codes=lost_codes,
            tasks=tasks,
            longest_call=longest_call,
            on_authorized=self.rereading.start,
        )
        self.events = SuiteEvents(
            tickets=state.tickets,
            exchanges=self.exchanges,
            cancellation=cancellation,
            authorizations=state.authorizations,
            rereading=self.rereading,
            relisting=relisting,
            clock=clock,
            observer=around.observer,
            tasks=tasks,
        )
        self.called_back = SuiteParts(state.authorizations, state.installations, self.events)
        self.overview = SuiteAuthorizations(
            catalog=catalog,
            authorizations=state.authorizations,
            installations=state.installations,
            exchanges=self.exchanges,
            rereading=self.rereading,
            forced=forced,
            changes=state.changes,
            clock=clock,
            observer=around.suite_observer,
        )
        self.links = InstallLinks(catalog, state.wecom, engine, clock, around.randomness)

    def start(self) -> None:
        """Keep in step with the other replicas, exchange codes and read what changed, in the background."""
        self._is_running = True
        self._run_each()
        if self._started or not self._catalog.suites:
            return
        state = self._state
        self._started = True
        for name, run in (
            ("following suite tickets", state.tickets.replicated.run),
            ("following authorizations", state.authorizations.replicated.run),
            ("following installations", state.installations.replicated.run),
            ("loading authorizations", state.authorizations.enlisted.run),
            ("loading installations", state.installations.enlisted.run),
            ("looking at suite tickets", state.tickets.run),
            ("counting authorizations", self.overview.run),
            ("forgetting authorizations that ended", state.sweep),
        ):
            self._tasks.keep_running(name, run)

    def follow(self, change: CatalogChange) -> None:
        """Forget suites that are not configured any more, and begin with those that are new."""
        state = self._state
        for name in change.ended:
            state.end(name, unknown(name) if name in change.removed else None)
        begun = [name for name in change.added | change.exchanged if name in self._catalog.suites]
        state.tickets.replicated.look_again(begun)
        if begun:
            state.authorizations.enlisted.load_anew()
            state.installations.enlisted.load_anew()
        if self._is_running:
            self.start()

    def _run_each(self) -> None:
        """Exchange and read for each suite as it is configured now."""
        present = self._catalog.suites
        for suite in [suite for suite in self._each if present.get(suite.name) != suite]:
            for task in self._each.pop(suite):
                task.cancel()
        for suite in present.values():
            if suite not in self._each:
                keep = self._tasks.keep_running
                self._each[suite] = (
                    keep(f"exchanging codes of {suite.name}", partial(self.exchanges.run, suite)),
                    keep(f"reading corps of {suite.name}", partial(self.rereading.run, suite)),
                )

    async def close(self) -> None:
        """End watches, and wait for answers that come only once."""
        self._state.changes.close()
        await self.exchanges.close()
