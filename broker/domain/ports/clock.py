"""Time and randomness, as arguments."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> datetime:
        """Return the fleet's time: aware, UTC."""

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long."""


class Randomness(Protocol):
    """Randomness, as an argument."""

    def jitter(self, duration: timedelta, spread: float = 0.2) -> timedelta:
        """Return the duration, up to `spread` of it longer or shorter."""

    def unguessable(self) -> str:
        """Return 32 letters and digits that nobody can guess."""
