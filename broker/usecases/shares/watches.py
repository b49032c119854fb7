"""Watches of the shares of an app in one corp: the present ones first, then each change."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable

from broker.domain.errors import BrokerError
from broker.domain.shares import AppShare, ShareChanges
from broker.usecases.fleet.latest import Latest

Sharer = tuple[str, str]
"""The app, and the corp that shares it (`App.parent_corp_id`)."""


class ShareWatches:
    """Wake the watchers of an app; a slow one gets the sum of the changes, and delays no others."""

    def __init__(self) -> None:
        self._watchers: defaultdict[Sharer, set[Latest[None]]] = defaultdict(set)

    async def follow(
        self, sharer: Sharer, look: Callable[[], Awaitable[list[AppShare]]]
    ) -> AsyncGenerator[ShareChanges, None]:
        """Yield the present shares first, as added ones, then each change."""
        changed: Latest[None] = Latest()
        self._watchers[sharer].add(changed)
        try:
            seen = await look()
            yield ShareChanges.between((), seen)
            async for _ in changed:
                current = await look()
                if changes := ShareChanges.between(seen, current):
                    yield changes
                seen = current
        finally:
            self._discard(sharer, changed)

    def notify(self, sharer: Sharer) -> None:
        """Have its watchers look again."""
        for watcher in self._watchers.get(sharer, ()):
            watcher.put(None)

    def end(self, app: str, error: BrokerError | None) -> None:
        """End the app's watches: with the error, or because they are to be opened again."""
        for sharer in [sharer for sharer in self._watchers if sharer[0] == app]:
            for watcher in self._watchers[sharer]:
                watcher.end(error)

    def close(self) -> None:
        """End every watch: the broker stops, and the watchers will find another replica."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.close()

    def _discard(self, sharer: Sharer, watcher: Latest[None]) -> None:
        self._watchers[sharer].discard(watcher)
        if not self._watchers[sharer]:
            del self._watchers[sharer]
