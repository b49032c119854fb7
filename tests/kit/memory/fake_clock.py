"""Time that stands still until a test moves it."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

from broker.domain.ports.clock import Clock

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


async def settle() -> None:
    """Return when every task waits for something that only the test can trigger."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(0)
        # asyncio has no public way to find out whether a callback is ready to run.
        if not loop._ready:  # type: ignore[attr-defined]
            return


class FakeClock:
    """The fleet's clock. Sleepers wake in the order of their wake-up times, each exactly at its own."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._turn = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the time."""
        return self._now

    def seconds(self) -> float:
        """Return the time in seconds since 1970."""
        return self._now.timestamp()

    async def sleep(self, duration: timedelta) -> None:
        """Wait until the test has advanced the time by that much."""
        if duration <= timedelta(0):
            await asyncio.sleep(0)
            return
        alarm = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + duration, next(self._turn), alarm))
        await alarm

    async def advance(self, duration: timedelta) -> None:
        """Advance the time, waking each sleeper that becomes due, at its own time."""
        until = self._now + duration
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            moment, _, alarm = heapq.heappop(self._sleepers)
            if not alarm.done():
                self._now = max(self._now, moment)
                alarm.set_result(None)
                await settle()
        self._now = until
        await settle()

    async def jump(self, duration: timedelta) -> None:
        """Advance the time without waking sleepers on the way, as if the machine had been suspended."""
        self._now += duration
        await self.advance(timedelta(0))

    @property
    def sleeper_count(self) -> int:
        """Return the number of sleepers."""
        return sum(not alarm.done() for _, _, alarm in self._sleepers)


class SkewedClock:
    """One replica's view of the fleet's clock: it may be wrong, and may jump, without affecting sleepers."""

    def __init__(self, fleet: Clock) -> None:
        self._fleet = fleet
        self.skew = timedelta(0)

    def now(self) -> datetime:
        """Return the time by this replica's clock."""
        return self._fleet.now() + self.skew

    def seconds(self) -> float:
        """Return the time by this replica's clock, in seconds since 1970."""
        return self.now().timestamp()

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long."""
        await self._fleet.sleep(duration)


class FixedRandomness:
    """Randomness that always gives the same value."""

    def __init__(self, throw: float = 0.0) -> None:
        self.throw = throw
        """Between -1 (as early as it may be) and 1 (as late)."""

    def jitter(self, duration: timedelta, spread: float = 0.2) -> timedelta:
        """Return the duration, changed by the spread times `throw`."""
        return duration * (1 + self.throw * spread)
