"""The share lists that this replica holds; a change reaches credentials and watchers at once."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

from broker.domain.apps import App
from broker.domain.errors import BrokerError
from broker.domain.ports.observer import Observer
from broker.domain.shares import AppShare, ListingKey, ShareChanges, ShareList
from broker.usecases.shares.revocation import ShareRevocation
from broker.usecases.shares.watches import ShareWatches


class ShareLists:
    """Hold the newest list of each app, kind and corp that shares."""

    def __init__(
        self,
        revocation: ShareRevocation,
        observer: Observer,
        are_listed: Callable[[ListingKey], bool] = lambda _: True,
    ) -> None:
        self._are_listed = are_listed
        self._revocation = revocation
        self._observer = observer
        self._lists: dict[ListingKey, ShareList] = {}
        self._named: dict[str, ListingKey] = {}
        self._watches = ShareWatches()
        self.version = 0
        """Grows whenever a list changes: earlier results may be out of date."""

    def get(self, key: ListingKey) -> ShareList | None:
        """See `Copies.get`."""
        return self._lists.get(key)

    def all(self) -> list[ShareList]:
        """Return what is held."""
        return list(self._lists.values())

    def held(self) -> Iterable[ListingKey]:
        """See `Copies.held`."""
        return list(self._lists)

    def key_named(self, name: str) -> ListingKey | None:
        """See `Copies.key_named`."""
        return self._named.get(name)

    async def adopt(self, value: ShareList) -> None:
        """Hold it unless a newer one is held; drop tokens of children that left, wake the watchers."""
        key = value.key
        held = self._lists.get(key)
        if (held and held.fence >= value.fence) or not self._are_listed(key):
            return
        self._lists[key] = value.indexed()
        self._named[key.name] = key
        changes = ShareChanges.between(held.shares, value.shares) if held else None
        if held is None or changes:
            self.version += 1
        if not changes:
            return
        self._revocation.evict(key, changes.removed)
        await self._revocation.reinstate(key, changes.added)
        self._observer.shares_changed(key.app, changes.added, changes.removed)
        self._watches.notify((key.app, key.parent_corp_id))
        await self._revocation.tombstone(key, changes.removed)

    def drop(self, key: ListingKey) -> None:
        """See `Copies.drop`: share lists are never forgotten."""

    def end(self, app: str, error: BrokerError | None) -> None:
        """Forget the app's lists; its watches end with the error, or are to be opened again."""
        self._forget([key for key in self._lists if key.app == app])
        self._watches.end(app, error)

    def forget_unlisted(self) -> None:
        """Forget lists of a kind that the configuration no longer names."""
        self._forget([key for key in self._lists if not self._are_listed(key)])

    def _forget(self, keys: Iterable[ListingKey]) -> None:
        for key in keys:
            del self._lists[key]
            del self._named[key.name]
            self.version += 1

    def watch(
        self, app: App, look: Callable[[], Awaitable[list[AppShare]]]
    ) -> AsyncGenerator[ShareChanges, None]:
        """Yield the present shares first, as added ones, then each change; a slow reader gets the sum."""
        return self._watches.follow((app.name, app.parent_corp_id), look)

    def close_watches(self) -> None:
        """End every watch: the broker stops, and the watchers will find another replica."""
        self._watches.close()
