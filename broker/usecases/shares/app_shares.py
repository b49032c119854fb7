"""Which child corps each app is shared with: listed once for the fleet, kept in memory, found by corp id."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from itertools import chain

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import BrokerError, StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Counters, Lease, Notice, NoticeKind
from broker.domain.ports.wecom import WecomShares
from broker.domain.shares import AppShare, ListedShares, ListingKey, ShareChanges, ShareList
from broker.usecases.credentials.engine import REST, CredentialEngine
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.leased_flight import LeasedFlight
from broker.usecases.fleet.single_flight import SingleFlight
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.shares.revocation import ShareRevocation
from broker.usecases.shares.watches import ShareWatches

RELISTS = 5
"""How many listings strangers may cause for one app and kind during a cooldown, fleet-wide."""

SOON = timedelta(milliseconds=100)
"""How long it takes at most from being counted to holding the lease."""
NEVER = datetime.min.replace(tzinfo=UTC)


class ListingRequirement(Enum):
    """Which listing will do."""

    ANY = auto()
    NEW = auto()
    WAITED_FOR = auto()
    """One that is under way in the fleet, else the one in memory."""


class AppShares:
    """Know the shares of every app. Enter it; it lives as long as the broker."""

    def __init__(
        self,
        *,
        apps: Mapping[str, App],
        wecom: WecomShares,
        share_lists: Collection[ListingKey, ShareList],
        counters: Counters,
        engine: CredentialEngine,
        fleet: LeasedFlight,
        error_cache: ErrorCache,
        revocation: ShareRevocation,
        clock: Clock,
        observer: Observer,
        cooldown: timedelta,
        tasks: Background,
    ) -> None:
        self._apps = apps
        self._wecom = wecom
        self._share_lists = share_lists
        self._counters = counters
        self._engine = engine
        self._fleet = fleet
        self._error_cache = error_cache
        self._revocation = revocation
        self._clock = clock
        self._observer = observer
        self._cooldown = cooldown
        self._listings: dict[ListingKey, ShareList] = {}
        self.version = 0
        """Grows whenever a listing in memory changes: what was found before may be found no more."""
        self._flights: SingleFlight[tuple[ListingKey, ListingRequirement], ShareList] = SingleFlight(tasks)
        self._recalls: SingleFlight[ListingKey, ShareList | None] = SingleFlight(tasks)
        self._watches = ShareWatches()
        self._named = named(apps)
        self._committed: dict[ListingKey, int] = {}
        """The fence of the last listing that we heard of."""
        self._stale: set[ListingKey] = set()
        self._stale_filled = asyncio.Event()

    # --- asking

    def known(self, app: App, corp_id: str, share_kind: ShareKind | None) -> list[AppShare] | None:
        """Return the shares with that child from memory alone; None if not all of it is there."""
        found: list[AppShare] = []
        for kind in _kinds(app, share_kind):
            listing = self._listings.get((app.name, kind))
            if listing is None:
                return None
            found += listing.by_corp.get(corp_id, ())
        return found

    async def find(self, app: App, corp_id: str, share_kind: ShareKind | None) -> list[AppShare]:
        """Return the shares with that child; an unknown child is looked for at WeCom once, within limits.

        Raises what kept the listing from succeeding.
        """
        began = self._clock.now()
        for kind in _kinds(app, share_kind):
            await self.listing(app, kind)
        if found := self.known(app, corp_id, share_kind):
            return found
        for kind in _kinds(app, share_kind):
            if not self._listings[app.name, kind].begun_since(began, self._clock.now()):
                await self._look_for(app, kind, corp_id, began)
        return self.known(app, corp_id, share_kind) or []

    async def recheck(self, app: App, corp_id: str, kind: ShareKind) -> None:
        """List anew, within limits, because WeCom refused a child that the listing has (670001)."""
        await self._look_for(app, kind, corp_id, self._clock.now())

    async def listing(self, app: App, kind: ShareKind) -> ShareList:
        """Return the listing: from memory, else from the store, else from WeCom."""
        if listing := self._listings.get((app.name, kind)):
            return listing
        return await self._flights.join(
            ((app.name, kind), ListingRequirement.ANY), lambda: self._list(app, kind, None)
        )

    async def all(self, app: App, share_kind: ShareKind | None = None) -> list[AppShare]:
        """Return all shares of the app, in a stable order."""
        listings = [await self.listing(app, kind) for kind in sorted(_kinds(app, share_kind))]
        return list(chain.from_iterable(listing.ordered for listing in listings))

    def held(self, app: App) -> list[AppShare]:
        """Return the shares in memory, of whichever kinds were listed."""
        listings = [self._listings.get((app.name, kind)) for kind in app.share_kinds]
        return [share for listing in listings if listing for share in listing.shares]

    def has_listing(self) -> bool:
        """Tell whether any listing is in memory."""
        return bool(self._listings)

    def listings(self) -> list[ShareList]:
        """Return what is in memory."""
        return list(self._listings.values())

    def fence(self, app: App, kind: ShareKind) -> int:
        """Return which listing is in memory; 0 if there is none."""
        listing = self._listings.get((app.name, kind))
        return listing.fence if listing else 0

    async def recall(self, app: App, kind: ShareKind, fence: int = 0) -> ShareList | None:
        """Return the listing from memory, else from the store, if it is at least that new; never asks WeCom.

        Raises `StoreUnavailable`.
        """
        key = (app.name, kind)
        listing = self._listings.get(key)
        if listing is None or listing.fence < fence:
            # Another replica's listing, and its notice is still on the way.
            await self._recalls.join(key, lambda: self._load(*key))
            listing = self._listings.get(key)
        return listing if listing and listing.fence >= fence else None

    async def sync(self, app: App) -> ShareChanges:
        """List anew at WeCom, past any remembered refusal, and return what changed."""
        began = self._clock.now()
        changes = ShareChanges()
        for kind in app.share_kinds:
            await self._error_cache.lift(ShareList.name_of(app.name, kind))
            before = await self._known_before(app, kind)
            after = await self.list_since(app, kind, began)
            changes += ShareChanges.between(before, after.shares)
        return changes

    def watch(self, app: App) -> AsyncGenerator[ShareChanges, None]:
        """Yield the present shares first, as added ones, then each change; a slow reader gets the sum."""
        return self._watches.follow(app.name, lambda: self.all(app))

    def close_watches(self) -> None:
        """End every watch: the broker stops, and the watchers will find another."""
        self._watches.close()

    # --- listing

    async def list_since(self, app: App, kind: ShareKind, moment: datetime) -> ShareList:
        """Return a listing that was begun at the moment or later: the fleet's, else a new one.

        Those who ask at once share one. Raises what kept it from succeeding.
        """
        while True:
            listing = await self._flights.join(
                ((app.name, kind), ListingRequirement.NEW), lambda: self._list(app, kind, moment)
            )
            if listing.begun_since(moment, self._clock.now()):
                return listing

    async def _look_for(self, app: App, kind: ShareKind, corp_id: str, began: datetime) -> None:
        """List anew for a child, or at least wait for the listing that another caller has caused."""
        if await self._may_relist(app, kind, corp_id):
            await self.list_since(app, kind, began)
        else:
            await self._flights.join(
                ((app.name, kind), ListingRequirement.WAITED_FOR), lambda: self._wait(app, kind, began)
            )

    async def _wait(self, app: App, kind: ShareKind, began: datetime) -> ShareList:
        # Who may list was counted before us, and takes the lease any moment now.
        await self._clock.sleep(SOON)
        return await self._list(app, kind, began, may_ask=False)

    async def _list(
        self, app: App, kind: ShareKind, not_before: datetime | None, *, may_ask: bool = True
    ) -> ShareList:
        name = ShareList.name_of(app.name, kind)

        async def look() -> ShareList | None:
            stored = await self._load(app.name, kind)
            if stored and not_before and not stored.begun_since(not_before, self._clock.now()):
                return None
            return stored

        async def fetch(lease: Lease) -> ShareList | None:
            if not may_ask:
                return self._listings[app.name, kind]
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
                raise
            await self._error_cache.forget(name)
            # Under the lease, what we looked at is the newest that there is.
            before = self._listings.get((app.name, kind))
            shares = listed.completed(before.shares if before else ())
            if listed.unreadable:
                self._observer.shares_unreadable(app.name, kind, listed.unreadable)
            listing = ShareList(app.name, kind, lease.fence, listed_at, shares).following(before)
            if not await self._fleet.publish(self._share_lists, listing, lease):
                return None
            await self._adopt(listing)
            return listing

        held = self._listings.get((app.name, kind))
        return await self._fleet.once(name, look, fetch, stage="listing", floor=held.fence if held else 0)

    async def _may_relist(self, app: App, kind: ShareKind, corp_id: str) -> bool:
        """Tell whether a caller's unknown child may cause a listing: once a cooldown each, and few in all."""
        name = ShareList.name_of(app.name, kind)
        try:
            if await self._counters.count(f"relist:{name}:{corp_id}", self._cooldown) > 1:
                return False
            return await self._counters.count(f"relist:{name}", self._cooldown) <= RELISTS
        except StoreUnavailable:
            now = self._clock.now()
            return not self._listings[app.name, kind].begun_since(now - self._cooldown, now)

    async def _known_before(self, app: App, kind: ShareKind) -> tuple[AppShare, ...]:
        with suppress(StoreUnavailable):
            if listing := await self.recall(app, kind):
                return listing.shares
        return ()

    # --- keeping in step

    async def _load(self, app: str, kind: ShareKind) -> ShareList | None:
        listing = await self._share_lists.find((app, kind))
        if listing is None:
            return None
        held = self._listings.get((app, kind))
        if held and held.fence == listing.fence:
            return held
        await self._adopt(listing)
        return listing

    async def _adopt(self, listing: ShareList) -> None:
        """Make it the current one: drop the tokens of children that left, tell the watchers."""
        key = listing.key
        held = self._listings.get(key)
        if held and held.fence >= listing.fence:
            return
        self._listings[key] = listing
        self.version += 1
        if listing.fence < self._committed.get(key, 0):
            # It was overtaken while we loaded it.
            self._stale.add(key)
            self._stale_filled.set()
        if held is None:
            return
        changes = ShareChanges.between(held.shares, listing.shares)
        if not changes:
            return
        app = self._apps[listing.app]
        self._revocation.evict(app, changes.removed)
        await self._revocation.reinstate(app, changes.added)
        self._observer.shares_changed(app.name, changes.added, changes.removed)
        self._watches.tell(app.name)
        await self._revocation.tombstone(app, changes.removed)

    def on_notice(self, notice: Notice) -> None:
        """Take note of a listing by another replica; `keep_in_step` acts on it."""
        if notice.kind is NoticeKind.CONNECTED:
            self._stale.update(self._listings)
        elif notice.kind is NoticeKind.COMMITTED and notice.name in self._named:
            app, kind = self._named[notice.name]
            self._committed[app.name, kind] = notice.fence
            if 0 < self.fence(app, kind) < notice.fence:
                self._stale.add((app.name, kind))
        if self._stale:
            self._stale_filled.set()

    async def follow_store(self) -> None:
        """Look again, for ever, at what notices call stale; bring back to a store what it has lost."""
        while True:
            await self._stale_filled.wait()
            self._stale_filled.clear()
            while self._stale:
                key = self._stale.pop()
                try:
                    stored = await self._load(*key)
                    held = self._listings[key]
                    if stored is None or stored.fence < held.fence:
                        await self._share_lists.offer(held)
                except StoreUnavailable:
                    self._stale.add(key)
                    await self._clock.sleep(REST)


def named(apps: Mapping[str, App]) -> dict[str, tuple[App, ShareKind]]:
    """Return what each listing's name stands for."""
    return {
        ShareList.name_of(app.name, kind): (app, kind) for app in apps.values() for kind in app.share_kinds
    }


def _kinds(app: App, share_kind: ShareKind | None) -> tuple[ShareKind, ...]:
    if share_kind is None:
        return app.share_kinds
    return (share_kind,) if share_kind in app.share_kinds else ()
