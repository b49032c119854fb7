"""The share lists that this replica holds; a change reaches credentials and watchers at once."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.ports.observer import Observer
from broker.domain.shares import AppShare, ListingKey, ShareChanges, ShareList
from broker.usecases.shares.revocation import ShareRevocation
from broker.usecases.shares.watches import ShareWatches


class ShareLists:
    """Hold the newest list of each app and kind."""

    def __init__(self, apps: Mapping[str, App], revocation: ShareRevocation, observer: Observer) -> None:
        self._apps = apps
        self._revocation = revocation
        self._observer = observer
        self._lists: dict[ListingKey, ShareList] = {}
        self._named = named(apps)
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
        app, kind = self._named.get(name, (None, ShareKind.OWN))
        return (app.name, kind) if app and (app.name, kind) in self._lists else None

    async def adopt(self, value: ShareList) -> None:
        """Hold it unless a newer one is held; drop tokens of children that left, wake the watchers."""
        held = self._lists.get(value.key)
        if held and held.fence >= value.fence:
            return
        self._lists[value.key] = value
        self.version += 1
        changes = ShareChanges.between(held.shares, value.shares) if held else None
        if not changes:
            return
        app = self._apps[value.app]
        self._revocation.evict(app, changes.removed)
        await self._revocation.reinstate(app, changes.added)
        self._observer.shares_changed(app.name, changes.added, changes.removed)
        self._watches.tell(app.name)
        await self._revocation.tombstone(app, changes.removed)

    def drop(self, key: ListingKey) -> None:
        """See `Copies.drop`: share lists are never forgotten."""

    def watch(
        self, app: App, look: Callable[[], Awaitable[list[AppShare]]]
    ) -> AsyncGenerator[ShareChanges, None]:
        """Yield the present shares first, as added ones, then each change; a slow reader gets the sum."""
        return self._watches.follow(app.name, look)

    def close_watches(self) -> None:
        """End every watch: the broker stops, and the watchers will find another replica."""
        self._watches.close()


def named(apps: Mapping[str, App]) -> dict[str, tuple[App, ShareKind]]:
    """Return what each listing's name stands for."""
    return {
        ShareList.name_of(app.name, kind): (app, kind) for app in apps.values() for kind in app.share_kinds
    }
