"""The parts that know which corp shares which app with whom, over one store and one WeCom."""

from collections.abc import Collection
from datetime import timedelta

from broker.app.surroundings import Surroundings
from broker.domain.ports.wecom import WecomShares
from broker.domain.shares import ListingKey, ShareList
from broker.domain.suites.catalog import CatalogChange, unknown
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.notifications import Notifications
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.shares.children import SuiteChildren
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.lists import ShareLists
from broker.usecases.shares.parents import KnownAuthorizations, Parents
from broker.usecases.shares.reconciling import Reconciliation
from broker.usecases.shares.relisting import Relisting
from broker.usecases.shares.revocation import ShareRevocation
from broker.usecases.shares.targets import Targets
from broker.usecases.shares.unannounced import UnannouncedEnds


class Sharing:
    """Share lists and what keeps them current, and the targets that they lead to."""

    def __init__(
        self,
        around: Surroundings,
        *,
        wecom: WecomShares,
        authorized: KnownAuthorizations,
        engine: CredentialEngine,
        memory: CredentialCache,
        fleet: LeasedFlight,
        error_cache: ErrorCache,
        called_back: Collection[str],
        sync_every: timedelta,
    ) -> None:
        storage, clock, observer, tasks = around.storage, around.clock, around.observer, around.tasks
        self.lists = ShareLists(
            ShareRevocation(storage.credentials, memory, error_cache), observer, self._are_listed
        )
        self.replicated = Replicated(storage.share_lists, self.lists, clock)
        self.parents = Parents(around.catalog, authorized)
        self.lister = ShareLister(
            wecom=wecom,
            observer=observer,
            lists=self.lists,
            replicated=self.replicated,
            counters=storage.coordination,
            engine=engine,
            fleet=fleet,
            error_cache=error_cache,
            clock=clock,
            cooldown=around.policy.cooldown,
            tasks=tasks,
            on_listed=self._note_listed,
        )
        self.directory = ShareDirectory(self.lists, self.lister, clock)
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
        self.unannounced = UnannouncedEnds(
            lists=self.lists,
            relisting=self.relisting,
            counters=storage.coordination,
            clock=clock,
            observer=observer,
            cooldown=around.policy.cooldown,
            called_back=called_back,
            tasks=tasks,
        )
        children = SuiteChildren(self.parents, self.directory)
        self.targets = Targets(
            around.catalog, self.directory, authorized, self.parents, children, held=memory.key_held
        )

    def follow(self, change: CatalogChange) -> None:
        """Forget what is shared of apps that are not configured any more."""
        for name in change.ended:
            self.lists.end(name, unknown(name) if name in change.removed else None)
        self.lists.forget_unlisted()

    async def _note_listed(self, listing: ShareList, before: ShareList | None) -> None:
        self.unannounced.on_listed(listing, before)
        await self.parents.note_sharing(listing)

    def _are_listed(self, listing: ListingKey) -> bool:
        return self.parents.are_listed(listing)

    def subscribe(self, notifications: Notifications) -> None:
        """Hear what other replicas listed, and of events about shares."""
        notifications.subscribe(self.replicated.on_notice)
        notifications.subscribe(self.relisting.on_notice)
        notifications.subscribe(self.unannounced.on_notice)
