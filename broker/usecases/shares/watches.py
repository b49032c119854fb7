"""Watches of an app's shares: the present ones first, then each change."""

from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable

from broker.domain.shares import AppShare, ShareChanges
from broker.usecases.fleet.latest import Latest


class ShareWatches:
    """Wake the watchers of an app; a slow one gets the sum of the changes, and delays no others."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[Latest[None]]] = defaultdict(set)

    async def follow(
        self, app: str, look: Callable[[], Awaitable[list[AppShare]]]
    ) -> AsyncGenerator[ShareChanges, None]:
        """Yield the present shares first, as added ones, then each change."""
        changed: Latest[None] = Latest()
        self._watchers[app].add(changed)
        try:
            seen = await look()
            yield ShareChanges.between((), seen)
            async for _ in changed:
                current = await look()
                if changes := ShareChanges.between(seen, current):
                    yield changes
                seen = current
        finally:
            self._watchers[app].discard(changed)

    def tell(self, app: str) -> None:
        """Have the app's watchers look again."""
        for watcher in self._watchers[app]:
            watcher.put(None)

    def close(self) -> None:
        """End every watch: the broker stops, and the watchers will find another replica."""
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.close()
