"""Who watches the shares of an app: the present ones first, then each change."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable

from broker.domain.shares import AppShare, ShareChanges


class ShareWatches:
    """Wake the watchers of an app; a slow one gets the sum of the changes, and delays nobody."""

    def __init__(self) -> None:
        self._changed: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._closing = False

    async def follow(
        self, app: str, look: Callable[[], Awaitable[list[AppShare]]]
    ) -> AsyncGenerator[ShareChanges, None]:
        """Yield what is there first, as added, then what changed since."""
        changed = asyncio.Event()
        self._changed[app].add(changed)
        try:
            seen: list[AppShare] = []
            current = await look()
            yield ShareChanges.between(seen, current)
            while True:
                seen = current
                await changed.wait()
                changed.clear()
                if self._closing:
                    return
                current = await look()
                if changes := ShareChanges.between(seen, current):
                    yield changes
        finally:
            self._changed[app].discard(changed)

    def tell(self, app: str) -> None:
        """Have the app's watchers look again."""
        for event in self._changed[app]:
            event.set()

    def close(self) -> None:
        """End every watch: the broker stops, and the watchers will find another."""
        self._closing = True
        for app in self._changed:
            self.tell(app)
