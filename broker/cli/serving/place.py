"""One of the places for workers: who works there, and when another worker takes it."""

import time
from collections.abc import Callable, Sequence

from broker.cli.serving.worker import Worker

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
"""How long a place is empty before another worker takes it: twice as long after each that never served."""


class Place:
    """Have one worker after the other; `start` starts the next."""

    def __init__(
        self, start: Callable[[], Worker], monotonic_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._start = start
        self._monotonic_seconds = monotonic_seconds
        self.worker = start()
        self.has_served = False
        """Whether any worker has ever served here."""
        self.pause_seconds = 0.0
        self._starts_at: float | None = None
        """When the next worker starts; None while there is one."""

    @property
    def is_empty(self) -> bool:
        """Return whether the pause after a worker lasts."""
        return self._starts_at is not None

    def ended(self) -> int | None:
        """Return the exit code of a worker that has ended, once: the place is empty from then on."""
        if self.is_empty:
            return None
        code = self.worker.exit_code
        if code is None:
            self.worker.listen()
        self.has_served |= self.worker.has_served
        if code is not None:
            self._leave_empty(served=self.worker.has_served)
        return code

    def is_ready(self, moment: int) -> bool:
        """Return whether it holds nothing up: it is empty for a while, or its worker serves as configured.

        The worker must have read the configuration since the moment: the monotonic clock's microseconds.
        """
        return self.has_served and (self.is_empty or self.worker.has_read_since(moment))

    def hurry(self) -> None:
        """End the pause: what kept a worker from starting may be mended."""
        if self.is_empty:
            self._starts_at = self._monotonic_seconds()
            self.pause_seconds = 0.0

    def take(self) -> None:
        """Start another worker once the pause is over. Raises `OSError`; then the next pause begins."""
        if self._starts_at is None or self._monotonic_seconds() < self._starts_at:
            return
        try:
            self.worker = self._start()
        except OSError:
            self._leave_empty(served=False)
            raise
        self._starts_at = None

    def _leave_empty(self, *, served: bool) -> None:
        longer = min(max(FIRST_PAUSE_SECONDS, 2 * self.pause_seconds), LONGEST_PAUSE_SECONDS)
        self.pause_seconds = FIRST_PAUSE_SECONDS if served else longer
        self._starts_at = self._monotonic_seconds() + self.pause_seconds


def are_ready(places: Sequence[Place], moment: int) -> bool:
    """Return whether all that can serve do so with what they have read since the moment; not if none can."""
    some_serve = any(place.worker.has_read_since(moment) for place in places)
    return some_serve and all(place.is_ready(moment) for place in places)
