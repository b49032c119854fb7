"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

from wecom_broker.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable

# A broker that asks its clients to wait an hour may be repaired and restarted long before.
_LONGEST_PATIENCE = timedelta(minutes=1)


class Backoff:
    """Jittered delays that double up to a limit.

    Full jitter (from zero to the whole delay) spreads the reconnects to a broker that restarts.
    """

    def __init__(
        self,
        *,
        first: timedelta = timedelta(milliseconds=500),
        longest: timedelta = timedelta(seconds=5),
        randomness: Callable[[], float] = random.random,
    ) -> None:
        """Start at the first delay. `randomness` returns a number from 0 to 1."""
        self._first = first
        self._longest = longest
        self._randomness = randomness
        self._next = first

    def delay(self, *, lived: timedelta = timedelta(0), at_least: timedelta | None = None) -> timedelta:
        """Return the next delay. Start over if the stream lived longer than the longest delay."""
        if lived > self._longest:
            self._next = self._first
        delay, self._next = self._next, min(2 * self._next, self._longest)
        return delay * self._randomness() + (at_least or timedelta(0))


def patience(failure: Exception) -> timedelta:
    """Return how long the broker asked to wait."""
    wished = failure.retry_after if isinstance(failure, BrokerError) else None
    return min(wished or timedelta(0), _LONGEST_PATIENCE)
