"""Time and randomness as dependencies, so that tests control them."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from broker.domain.replica.clocks import ClockComparison, Witness


class Clock(Protocol):
    """Tell the time, and wait."""

    def now(self) -> datetime:
        """Return the fleet's time: aware, UTC."""

    def seconds(self) -> float:
        """Return the fleet's time in seconds since 1970: for comparisons on the way of every call."""

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long."""


Ask = Callable[[], Awaitable[float]]
"""Return a clock's time, in seconds since 1970."""


class FleetClock(Clock, Protocol):
    """A clock that follows others."""

    async def ask(self, witness: Witness, ask: Ask) -> float:
        """Ask another clock, then as `hear`; return what it said. Raises what `ask` raises.

        While its answer was on the way that clock went on: within that time this one is not set.
        """

    def hear(self, witness: Witness, seconds: float) -> None:
        """Note what time another clock has, in seconds since 1970, and go by the one that is trusted."""

    def compared(self) -> ClockComparison:
        """Return how far the clocks that were heard are ahead of this one."""


class Randomness(Protocol):
    """Make random values."""

    def jitter(self, duration: timedelta, spread: float = 0.2) -> timedelta:
        """Return the duration, up to `spread` of it longer or shorter."""

    def unguessable(self) -> str:
        """Return 32 letters and digits that nobody can guess."""
