"""Which child corps each app is shared with: found by corp id, in memory where possible."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from itertools import chain

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.errors import BrokerError, RetryLater
from broker.domain.ports.clock import Clock
from broker.domain.shares import AppShare, ListingKey, ShareChanges, ShareList
from broker.usecases.limits.recovery_budget import current_recovery_budget
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.lists import ShareLists

Attempt = Callable[[], Awaitable[object]]
"""Begun only where it is awaited: who asked may leave before."""


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
        """Return the shares with that child from memory alone; None if something must be listed first."""
        return self.held_with(app, corp_id, share_kind) if self.is_loaded(app, share_kind) else None

    def is_loaded(self, app: App, share_kind: ShareKind | None = None) -> bool:
        """Return whether each listing is in memory, or failed and is not tried again yet."""
        keys = [ListingKey.of(app, kind) for kind in _kinds(app, share_kind)]
        return all(self._lists.get(key) or self._lister.failed_lately(key) for key in keys)

    async def load(self, app: App) -> None:
        """List what is neither in memory nor in the store; what failed before is not waited for again.

        Raises what went wrong, once all was tried.
        """
        if self.is_loaded(app) or self._retry(app, app.share_kinds):
            return
        if failures := await _failures(partial(self._lister.listing, app, kind) for kind in app.share_kinds):
            raise _most_hopeful(failures)

    async def find(self, app: App, corp_id: str, share_kind: ShareKind | None) -> list[AppShare]:
        """Return the shares with that child; an unknown child is looked for at WeCom once, within limits.

        A known child does not wait again for a listing that failed. Raises what kept a listing from
        succeeding, if no other has the child.
        """
        if found := self.known(app, corp_id, share_kind):
            return found
        began, kinds = self._clock.now(), _kinds(app, share_kind)
        if (found := self.held_with(app, corp_id, share_kind)) and self._retry(app, kinds):
            return found
        failures = await _failures(partial(self._lister.listing, app, kind) for kind in kinds)
        if not self.held_with(app, corp_id, share_kind):
            failures += await _failures(partial(self._look_for, app, kind, corp_id, began) for kind in kinds)
        found = self.held_with(app, corp_id, share_kind)
        if failures and not found:
            raise _most_hopeful(failures)
        return found

    def _retry(self, app: App, kinds: Iterable[ShareKind]) -> bool:
        """Begin the listings that failed before, and do not wait; return whether no other is missing."""
        missing = [kind for kind in kinds if self._lists.get(ListingKey.of(app, kind)) is None]
        return all(self._lister.retry(app, kind) for kind in missing)

    async def _look_for(self, app: App, kind: ShareKind, corp_id: str, began: datetime) -> None:
        """List anew for a child, unless the listing is new enough, or failed just now."""
        listing = self._lists.get(ListingKey.of(app, kind))
        if listing and not listing.begun_since(began, self._clock.now()):
            await self._lister.look_for(app, kind, corp_id, began)

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


async def _failures(attempts: Iterable[Attempt]) -> list[BrokerError]:
    """Make all attempts at once, and return what went wrong: one that hangs does not delay the others."""
    current_recovery_budget()  # begun here, so that all attempts count for the request
    outcomes = await asyncio.gather(*(_failure(attempt) for attempt in attempts))
    return [error for error in outcomes if error]


async def _failure(attempt: Attempt) -> BrokerError | None:
    try:
        await attempt()
    except BrokerError as error:
        return error
    return None


def _most_hopeful(failures: Sequence[BrokerError]) -> BrokerError:
    """Return one that says to try again, if there is one: then the child may be found yet."""
    return next((error for error in failures if isinstance(error, RetryLater)), failures[0])


def _kinds(app: App, share_kind: ShareKind | None) -> tuple[ShareKind, ...]:
    if share_kind is None:
        return app.share_kinds
    return (share_kind,) if share_kind in app.share_kinds else ()
