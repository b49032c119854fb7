"""Share lists from WeCom: listed once for the fleet, under a lease, and within limits."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import BrokerError, StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Counters, Lease
from broker.domain.ports.wecom import WecomShares
from broker.domain.remembered_errors import RememberedError
from broker.domain.shares import AppShare, ListedShares, ListingKey, ShareChanges, ShareList
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.fleet.single_flight import SingleFlight
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.limits.recovery_budget import begin_recovery_budget
from broker.usecases.shares.lists import ShareLists

RELISTS = 5
"""How many listings unknown corps may cause for one app and kind during a cooldown, fleet-wide."""
SOON = timedelta(milliseconds=100)
"""How long it takes at most from being counted to holding the lease."""
NEVER = datetime.min.replace(tzinfo=UTC)


class ListingRequirement(Enum):
    """Which listing is good enough."""

    ANY = auto()
    NEW = auto()
    WAITED_FOR = auto()
    """One that is under way in the fleet, else the one in memory."""


class ShareLister:
    """Bring share lists up to date."""

    def __init__(
        self,
        *,
        wecom: WecomShares,
        lists: ShareLists,
        replicated: Replicated[ListingKey, ShareList],
        counters: Counters,
        engine: CredentialEngine,
        fleet: LeasedFlight,
        error_cache: ErrorCache,
        clock: Clock,
        observer: Observer,
        cooldown: timedelta,
        tasks: Background,
        on_listed: Callable[[ShareList, ShareList | None], Awaitable[None]],
    ) -> None:
        self._wecom = wecom
        self._lists = lists
        self._replicated = replicated
        self._counters = counters
        self._engine = engine
        self._fleet = fleet
        self._error_cache = error_cache
        self._clock = clock
        self._observer = observer
        self._cooldown = cooldown
        self._on_listed = on_listed
        self._failed_as: dict[ListingKey, str] = {}
        """The scope under which the error of the last listing that failed is remembered, if it is."""
        self._flights: SingleFlight[tuple[ListingKey, ListingRequirement], ShareList] = SingleFlight(tasks)
        self._recalls: SingleFlight[ListingKey, ShareList | None] = SingleFlight(tasks)

    async def listing(self, app: App, kind: ShareKind) -> ShareList:
        """Return the listing: from memory, else from the store, else from WeCom."""
        key = ListingKey.of(app, kind)
        if listing := self._lists.get(key):
            return listing
        return await self._flights.join((key, ListingRequirement.ANY), lambda: self._obtain(app, kind, None))

    def failed_lately(self, key: ListingKey) -> bool:
        """Return whether a listing failed here, and is not tried again yet."""
        failure = self._failure(key)
        return failure is not None and self._error_cache.active(failure.scope, failure.secret_of) is not None

    def retry(self, app: App, kind: ShareKind) -> bool:
        """Begin a listing that failed before, and do not wait for it; return False if it never failed."""
        key = ListingKey.of(app, kind)
        if self._failure(key) is None:
            return False
        if not self.failed_lately(key):
            self._flights.start((key, ListingRequirement.ANY), lambda: self._obtain_alone(app, kind))
        return True

    def _failure(self, key: ListingKey) -> RememberedError | None:
        return self._error_cache.get(self._failed_as.get(key, key.name))

    async def _obtain_alone(self, app: App, kind: ShareKind) -> ShareList:
        begin_recovery_budget()
        return await self._obtain(app, kind, None)

    async def recall(self, key: ListingKey, fence: int = 0) -> ShareList | None:
        """Return the listing from memory, else from the store, if it is at least that new; never asks WeCom.

        Raises `StoreUnavailable`.
        """
        listing = self._lists.get(key)
        if listing is None or listing.fence < fence:
            # Another replica listed, and its notice has not arrived yet.
            await self._recalls.join(key, lambda: self._replicated.look(key))
            listing = self._lists.get(key)
        return listing if listing and listing.fence >= fence else None

    async def sync(self, app: App) -> ShareChanges:
        """List anew at WeCom, despite remembered errors, and return what changed.

        Syncs of the whole fleet share one listing a cooldown, and what kept it from succeeding, which is
        raised once every kind was tried.
        """
        changes, failures = ShareChanges(), list[BrokerError]()
        for kind in app.share_kinds:
            try:
                changes += await self._sync(app, kind)
            except BrokerError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return changes

    async def _sync(self, app: App, kind: ShareKind) -> ShareChanges:
        began, name = self._clock.now(), ListingKey.of(app, kind).name
        if await self._is_first_sync(name):
            await self._error_cache.lift(name)
        else:
            began -= self._cooldown
        before = await self._known_before(app, kind)
        after = await self.list_since(app, kind, began)
        return ShareChanges.between(before, after.shares)

    async def _is_first_sync(self, name: str) -> bool:
        """Return whether nobody in the fleet asked for a sync of the listing during the cooldown."""
        try:
            return await self._counters.count(f"synced:{name}", self._cooldown) == 1
        except StoreUnavailable:
            return False

    async def end(self, key: ListingKey) -> None:
        """Publish that nothing is shared any more: the corp cancelled, and cannot be asked.

        Raises `StoreUnavailable`.
        """
        held = await self.recall(key)
        if held is None or not held.shares:
            return
        turns = self._fleet.turns(
            self._replicated, key, stage="listing", above=held.fence, allow_offline=False
        )
        async with aclosing(turns):
            async for turn in turns:
                if turn.lease is None:
                    continue
                parent = key.parent_corp_id
                nothing = ShareList(
                    key.app, key.share_kind, turn.lease.fence, self._clock.now(), (), parent, held.identity
                )
                if await self._replicated.publish(key, nothing, turn.lease):
                    return

    async def list_since(self, app: App, kind: ShareKind, moment: datetime) -> ShareList:
        """Return a listing that was begun at the moment or later: the fleet's, else a new one.

        Concurrent callers share one. Raises what kept it from succeeding.
        """
        key = ListingKey.of(app, kind)
        while True:
            listing = await self._flights.join(
                (key, ListingRequirement.NEW), lambda: self._obtain(app, kind, moment)
            )
            if listing.begun_since(moment, self._clock.now()):
                return listing

    async def look_for(self, app: App, kind: ShareKind, corp_id: str, began: datetime) -> None:
        """List anew for a child, within limits, or wait for the listing that another caller has caused."""
        if await self._may_relist(app, kind, corp_id):
            await self.list_since(app, kind, began)
        else:
            wanted = (ListingKey.of(app, kind), ListingRequirement.WAITED_FOR)
            await self._flights.join(wanted, lambda: self._wait(app, kind, began))

    async def _wait(self, app: App, kind: ShareKind, began: datetime) -> ShareList:
        # The caller that may list was counted before us, and is about to take the lease.
        await self._clock.sleep(SOON)
        return await self._obtain(app, kind, began, may_ask=False)

    async def _obtain(
        self, app: App, kind: ShareKind, not_before: datetime | None, *, may_ask: bool = True
    ) -> ShareList:
        """Return what the store holds if it is new enough, else list under the lease and commit."""
        key = ListingKey.of(app, kind)
        held = self._lists.get(key)
        above = held.fence if held else 0
        async with aclosing(self._fleet.turns(self._replicated, key, stage="listing", above=above)) as turns:
            async for turn in turns:
                if turn.stored and _is_new_enough(turn.stored, not_before, self._clock.now()):
                    return turn.stored
                if turn.lease and not may_ask and (held := self._lists.get(key)):
                    return held
                if turn.lease and (listed := await self._list_and_commit(app, kind, turn.lease, not_before)):
                    return listed
        raise AssertionError("turns end only when they are closed")

    async def _list_and_commit(
        self, app: App, kind: ShareKind, lease: Lease, not_before: datetime | None
    ) -> ShareList | None:
        """List at WeCom and commit; None if the lease was lost meanwhile."""
        key = ListingKey.of(app, kind)
        name = key.name
        await self._error_cache.check(name, app=app.name)
        # The clock may have been set back since the caller asked: this listing is newer all the same.
        listed_at = max(self._clock.now(), not_before or NEVER)

        async def with_parent(parent: Credential) -> ListedShares:
            return await self._wecom.list_app_shares(parent, kind)

        try:
            listed = await self._engine.using(CredentialKey.own_token(app), with_parent)
        except BrokerError as error:
            if not error.remembered:
                await self._error_cache.remember(name, error, app=app.name)
            self._failed_as[key] = error.remembered_as
            raise
        self._failed_as.pop(key, None)
        await self._error_cache.forget(name)
        # We looked at the store under the lease, so the listing in memory is the newest.
        before = self._lists.get(key)
        shares = listed.completed(before.shares if before else ())
        if listed.unreadable:
            self._observer.shares_unreadable(app.name, kind, listed.unreadable)
        listing = ShareList(app.name, kind, lease.fence, listed_at, shares, key.parent_corp_id, app.identity)
        listing = listing.following(before)
        if not await self._replicated.publish(key, listing, lease):
            return None
        await self._on_listed(listing, before)
        return listing

    async def _may_relist(self, app: App, kind: ShareKind, corp_id: str) -> bool:
        """Return whether an unknown child may cause a listing: once per cooldown each, `RELISTS` in all."""
        key = ListingKey.of(app, kind)
        of_all, of_corp = f"relist:{key.name}", f"relist:{key.name}:{corp_id}"
        try:
            # Only read first: a counter for each made-up corp would fill the store.
            counted = await self._counters.counts([of_all, of_corp])
            if counted[of_all] >= RELISTS or counted[of_corp]:
                return False
            if await self._counters.count(of_corp, self._cooldown) > 1:
                return False
            return await self._counters.count(of_all, self._cooldown) <= RELISTS
        except StoreUnavailable:
            now, held = self._clock.now(), self._lists.get(key)
            return held is None or not held.begun_since(now - self._cooldown, now)

    async def _known_before(self, app: App, kind: ShareKind) -> tuple[AppShare, ...]:
        with suppress(StoreUnavailable):
            if listing := await self.recall(ListingKey.of(app, kind)):
                return listing.shares
        return ()


def _is_new_enough(listing: ShareList, not_before: datetime | None, now: datetime) -> bool:
    return not_before is None or listing.begun_since(not_before, now)
