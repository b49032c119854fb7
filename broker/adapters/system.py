"""The fleet's time and the machine's randomness."""

import asyncio
import random
import secrets
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """Return the fleet's time: this machine's, corrected by the shared store's.

    It runs on the monotonic clock, so a jump of the machine's clock moves no expiry. The store's time is
    the fleet's: a replica whose clock is wrong would otherwise serve expired tokens, or replace valid ones.
    """

    def __init__(self) -> None:
        self._origin = time.time() - time.monotonic()

    def now(self) -> datetime:
        """Return the fleet's time: aware, UTC."""
        return datetime.fromtimestamp(self._origin + time.monotonic(), UTC)

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long."""
        await asyncio.sleep(duration.total_seconds())

    def ahead_of_machine(self, seconds: float) -> timedelta:
        """Return how far a time, in seconds since 1970, is ahead of this machine's clock."""
        return timedelta(seconds=seconds - time.time())

    def set_fleet_time(self, seconds: float) -> timedelta:
        """Adopt the store's time, in seconds since 1970; return how far this clock was off."""
        correction = seconds - time.monotonic() - self._origin
        self._origin += correction
        return timedelta(seconds=correction)


class SystemRandomness:
    """Spread out what would otherwise happen at the same time."""

    def jitter(self, duration: timedelta, spread: float = 0.2) -> timedelta:
        """Return the duration, up to `spread` of it longer or shorter."""
        return duration * random.uniform(1 - spread, 1 + spread)  # noqa: S311 - no secret depends on it

    def unguessable(self) -> str:
        """Return 32 letters and digits that nobody can guess."""
        return secrets.token_hex(16)
