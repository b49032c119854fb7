"""Which child corps each app is shared with: found by corp id, in memory where possible."""

from collections.abc import AsyncGenerator
from itertools import chain

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.ports.clock import Clock
from broker.domain.shares import AppShare, ListingKey, ShareChanges, ShareList
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.lists import ShareLists


class ShareDirectory:
    """Answer questions about shares; the lister is asked for what is not known."""

    def __init__(self, lists: ShareLists, lister: ShareLister, clock: Clock) -> None:
        self._lists = lists
        self._lister = lister
        self._clock = clock

    @property
    def version(self) -> int:
        """Return a number that grows whenever a list in memory changes."""
        return self._lists.version

    def known(self, app: App, corp_id: str, share_kind: ShareKind | None) -> list[AppShare] | None:
        """Return the shares with that child from memory alone; None if not all of it is there."""
        found: list[AppShare] = []
        for kind in _kinds(app, share_kind):
            listing = self._lists.get(ListingKey.of(app, kind))
            if listing is None:
                return None
            found += listing.by_corp.get(corp_id, ())
        return found

    async def find(self, app: App, corp_id: str, share_kind: ShareKind | None) -> list[AppShare]:
        """Return the shares with that child; an unknown child is looked for at WeCom once, within limits.

        Raises what kept the listing from succeeding.
        """
        began = self._clock.now()
        listings = [await self._lister.listing(app, kind) for kind in _kinds(app, share_kind)]
        if found := self.known(app, corp_id, share_kind):
            return found
        for listing in listings:
            if not listing.begun_since(began, self._clock.now()):
                await self._lister.look_for(app, listing.share_kind, corp_id, began)
        return self.known(app, corp_id, share_kind) or []

    async def recheck(self, app: App, corp_id: str, kind: ShareKind) -> None:
        """List anew, within limits, because WeCom refused a child that the listing has (670001)."""
        await self._lister.look_for(app, kind, corp_id, self._clock.now())

    async def all(self, app: App, share_kind: ShareKind | None = None) -> list[AppShare]:
        """Return all shares of the app, in a stable order."""
        listings = [await self._lister.listing(app, kind) for kind in sorted(_kinds(app, share_kind))]
        return list(chain.from_iterable(listing.ordered for listing in listings))

    def held_with(self, app: App, corp_id: str, share_kind: ShareKind | None) -> list[AppShare]:
        """Return the shares with that child in memory, of whichever kinds were listed."""
        listings = [self._lists.get(ListingKey.of(app, kind)) for kind in _kinds(app, share_kind)]
        return [share for listing in listings if listing for share in listing.by_corp.get(corp_id, ())]

    def held(self, app: App) -> list[AppShare]:
        """Return the shares in memory, of whichever kinds were listed."""
        listings = [self._lists.get(ListingKey.of(app, kind)) for kind in app.share_kinds]
        return [share for listing in listings if listing for share in listing.shares]

    def has_listing(self) -> bool:
        """Return whether any listing is in memory."""
        return bool(self._lists.all())

    def fence(self, key: ListingKey) -> int:
        """Return the fence of the listing in memory; 0 if there is none."""
        listing = self._lists.get(key)
        return listing.fence if listing else 0

    async def recall(self, key: ListingKey, fence: int = 0) -> ShareList | None:
        """See `ShareLister.recall`."""
        return await self._lister.recall(key, fence)

    async def recall_all(self, app: App) -> None:
        """Bring the listings from the store into memory; never asks WeCom. Raises `StoreUnavailable`."""
        for kind in app.share_kinds:
            await self._lister.recall(ListingKey.of(app, kind))

    def watch(self, app: App) -> AsyncGenerator[ShareChanges, None]:
        """Yield the present shares first, as added ones, then each change; a slow reader gets the sum."""
        return self._lists.watch(app, lambda: self.all(app))

    def close_watches(self) -> None:
        """End every watch: the broker stops, and the watchers will find another replica."""
        self._lists.close_watches()


def _kinds(app: App, share_kind: ShareKind | None) -> tuple[ShareKind, ...]:
    if share_kind is None:
        return app.share_kinds
    return (share_kind,) if share_kind in app.share_kinds else ()
