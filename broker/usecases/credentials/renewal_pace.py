"""How many credentials may be renewed ahead of time within a minute: a backlog must not become a wave.

After an outage, or where many were first fetched at once, many are due at once. They still live for a while,
so they are renewed one after the other, those that end first before the others. A credential that is nearly
gone is never held back.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from broker.domain.credentials import Credential, CredentialKey
from broker.domain.ports.clock import Clock
from broker.usecases.credentials.cache import CredentialCache

MINUTE = timedelta(minutes=1)
WINDOW = timedelta(seconds=10)
"""Renewals are counted over this time: short, so that replicas see each other's before they go on."""
UNPACED = 300
"""Renewals a minute that are no wave, whatever the mean: 3 % of what WeCom allows one corp and API."""
TIMES_THE_MEAN = 2.2
"""How much faster than on average a backlog is worked off."""


class RenewalPace:
    """Count the fleet's renewals, as far as this replica sees them, and say whether one more may start."""

    def __init__(self, memory: CredentialCache, clock: Clock, *, unpaced: int = UNPACED) -> None:
        self._memory = memory
        self._clock = clock
        self._unpaced = unpaced
        self._recent: deque[datetime] = deque()
        """When renewals began here or ended elsewhere, of the last `WINDOW`."""
        self._started: set[CredentialKey] = set()
        """Those that began here and have not been seen to end."""
        self._hurry = 0.0

    def admits(self) -> bool:
        """Return whether one more renewal may start now."""
        self._forget_old(self._clock.now())
        a_minute = max(self._unpaced, TIMES_THE_MEAN * self._memory.renewals_a_minute, self._hurry)
        return len(self._recent) + 1 <= max(1.0, a_minute * (WINDOW / MINUTE))

    def started(self, key: CredentialKey) -> None:
        """Count a renewal that this replica starts."""
        self._recent.append(self._clock.now())
        self._started.add(key)

    def ended(self, key: CredentialKey) -> None:
        """Note that it ended, however it did."""
        self._started.discard(key)

    def await_turns(self, ends: Sequence[float]) -> None:
        """Note when each of those that wait is nearly gone, in order: each has to be renewed by then.

        The moments are in seconds since 1970.
        """
        now, window = self._clock.now().timestamp(), WINDOW.total_seconds()
        minute = MINUTE.total_seconds()
        self._hurry = max(
            (place * minute / max(end - now, window) for place, end in enumerate(ends, start=1)), default=0
        )

    def seen(self, credential: Credential) -> None:
        """Count a commit that is new here: another replica's, or one for a caller who waits."""
        if credential.key in self._started:
            return
        now = self._clock.now()
        # What was renewed long ago is only loaded.
        if now - credential.renewed_at < MINUTE / 2:
            self._forget_old(now)
            self._recent.append(now)

    def _forget_old(self, now: datetime) -> None:
        """Forget what was before the window, or before the clock was set back."""
        while self._recent and not now - WINDOW < self._recent[0] <= now:
            self._recent.popleft()
