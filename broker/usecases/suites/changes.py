"""Whom a change of a suite's authorisations or installations wakes."""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator

from broker.domain.errors import BrokerError
from broker.usecases.fleet.latest import Latest


class Changes:
    """Wake those who follow a suite; a slow one is woken once for many changes, and delays no others."""

    def __init__(self) -> None:
        self._followers: defaultdict[str, dict[Latest[None], set[str]]] = defaultdict(dict)
        """What has changed since each of them was woken."""
        self._told: Counter[str] = Counter()

    async def follow(self, suite: str) -> AsyncGenerator[set[str], None]:
        """Yield nothing at once, and the marks of what changed after each change, until the broker stops."""
        woken: Latest[None] = Latest()
        woken.put(None)
        changed = self._followers[suite][woken] = set()
        try:
            async for _ in woken:
                marks = set(changed)
                changed.clear()
                yield marks
        finally:
            self._followers[suite].pop(woken, None)

    def version(self, suite: str) -> int:
        """Return a number that is another one after each change."""
        return self._told[suite]

    def tell(self, suite: str, mark: str) -> None:
        """Wake the suite's followers: the row with that mark (`AuthorizationView`) has changed."""
        self._told[suite] += 1
        for follower, changed in self._followers[suite].items():
            changed.add(mark)
            follower.put(None)

    def end(self, suite: str, error: BrokerError | None) -> None:
        """End the suite's followers: with the error, or because they are to come again."""
        self._told[suite] += 1
        for follower in self._followers.pop(suite, {}):
            follower.end(error)

    def close(self) -> None:
        """End every follower: the broker stops, and watchers will find another replica."""
        for followers in self._followers.values():
            for follower in followers:
                follower.close()
