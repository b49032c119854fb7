"""Wake those who follow the authorisations and installations of a suite."""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator

from broker.usecases.fleet.latest import Latest


class Changes:
    """Wake those who follow a suite; a slow one is woken once for many changes, and delays no others."""

    def __init__(self) -> None:
        self._followers: defaultdict[str, set[Latest[None]]] = defaultdict(set)
        self._told: Counter[str] = Counter()

    async def follow(self, suite: str) -> AsyncGenerator[None, None]:
        """Yield at once, and after each change, until the broker stops."""
        changed: Latest[None] = Latest()
        changed.put(None)
        self._followers[suite].add(changed)
        try:
            async for _ in changed:
                yield
        finally:
            self._followers[suite].discard(changed)

    def version(self, suite: str) -> int:
        """Return a number that is another one after each change."""
        return self._told[suite]

    def tell(self, suite: str) -> None:
        """Wake the suite's followers."""
        self._told[suite] += 1
        for follower in self._followers[suite]:
            follower.put(None)

    def close(self) -> None:
        """End every follower: the broker stops, and watchers will find another replica."""
        for followers in self._followers.values():
            for follower in followers:
                follower.close()
