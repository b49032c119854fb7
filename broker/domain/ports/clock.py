"""Time and randomness as dependencies, so that tests control them."""

from datetime import datetime, timedelta
from typing import Protocol

MAX_CLOCK_OFFSET = timedelta(seconds=60)
"""How far the store's clock may be from a machine's: beyond that, the replica keeps to its own."""


class Clock(Protocol):
    """Tell the time, and wait."""

    def now(self) -> datetime:
        """Return the fleet's time: aware, UTC."""

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long."""


class Randomness(Protocol):
    """Make random values."""

    def jitter(self, duration: timedelta, spread: float = 0.2) -> timedelta:
        """Return the duration, up to `spread` of it longer or shorter."""

    def unguessable(self) -> str:
        """Return 32 letters and digits that nobody can guess."""
