"""How many credentials of each kind and state a replica holds: counted a part at a time."""

from collections import Counter, defaultdict
from collections.abc import Iterator  # noqa: TC003 - beside the other imports
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

from broker.domain.credentials import CredentialKind, Freshness, RefreshPolicy
from broker.domain.ports.clock import Clock
from broker.usecases.credentials.cache import CacheEntry, CredentialCache

LOOKED_AT_ONCE = 500
"""How many entries are looked at in one look, or a hundredth of all if that is more: none takes long."""


@dataclass(slots=True)
class CredentialStats:
    """How many credentials a replica holds, by kind and state, and how old the oldest of each kind is."""

    counts: Counter[tuple[CredentialKind, Freshness]] = field(default_factory=Counter)
    oldest: defaultdict[CredentialKind, timedelta] = field(default_factory=lambda: defaultdict(timedelta))
    watchers: int = 0


class CredentialCensus:
    """Look at some of the entries each time; once all were looked at, their numbers are what it tells."""

    def __init__(self, memory: CredentialCache, clock: Clock, policy: RefreshPolicy) -> None:
        self._memory = memory
        self._clock = clock
        self._policy = policy
        self._left: Iterator[CacheEntry] | None = None
        """The entries that this count has not looked at yet."""
        self._counting = self._counted = CredentialStats()

    def look(self) -> CredentialStats:
        """Look at the next ones, and return the last complete count; of few entries it is of now."""
        if self._left is None:
            self._left, self._counting = iter(self._memory), CredentialStats()
        most = max(LOOKED_AT_ONCE, len(self._memory) // 100)
        entries = list(islice(self._left, most))
        self._count(entries)
        if len(entries) < most:
            self._left, self._counted = None, self._counting
        self._counted.watchers = self._memory.watcher_count
        return self._counted

    def _count(self, entries: list[CacheEntry]) -> None:
        now, seconds = self._clock.now(), self._clock.seconds()
        counts, oldest = self._counting.counts, self._counting.oldest
        for entry in entries:
            if credential := entry.credential:
                fresh = seconds < entry.fresh_until
                state = Freshness.FRESH if fresh else credential.freshness(now, self._policy)
                kind = entry.key.kind
                counts[kind, state] += 1
                oldest[kind] = max(oldest[kind], now - credential.obtained_at)
