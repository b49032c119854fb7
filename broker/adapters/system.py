"""The fleet's time and the machine's randomness."""

import asyncio
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.domain.ports.clock import Ask
from broker.domain.replica.clocks import ClockComparison, Witness, agree, trusted

WORD, WORDS_DRAWN = 32, 128


@dataclass(frozen=True, slots=True)
class _Heard:
    """What another clock told, and what this machine's said then, as distances from monotonic time."""

    origin: float
    took: float
    """For how many seconds the answer may have been on its way: the origin may be as much later."""
    machine: float

    def ahead_of(self, origin: float) -> timedelta:
        """Return how far that clock is ahead of one with this origin, at least."""
        return timedelta(seconds=min(max(origin, self.origin), self.origin + self.took) - origin)


class SystemClock:
    """Return the fleet's time: this machine's, corrected by the clocks that are trusted (`trusted`).

    It runs on the monotonic clock, so a jump of the machine's clock moves no expiry. A replica whose clock
    is wrong would otherwise serve expired tokens, or replace valid ones.
    """

    def __init__(
        self, machine: Callable[[], float] | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._machine = machine or (lambda: time.time())  # noqa: PLW0108 - looked up at each call
        self._monotonic = monotonic
        self._origin = self._machine_origin()
        self._heard: dict[Witness, _Heard] = {}

    def now(self) -> datetime:
        """Return the fleet's time: aware, UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def seconds(self) -> float:
        """Return the fleet's time in seconds since 1970."""
        return self._origin + self._monotonic()

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long."""
        await asyncio.sleep(duration.total_seconds())

    def ahead_of_machine(self, seconds: float) -> timedelta:
        """Return how far a time, in seconds since 1970, is ahead of this machine's clock."""
        return timedelta(seconds=seconds - self._machine())

    async def ask(self, witness: Witness, ask: Ask) -> float:
        """See `FleetClock.ask`."""
        began = self._monotonic()
        seconds = await ask()
        self._hear(witness, seconds, self._monotonic() - began)
        return seconds

    def hear(self, witness: Witness, seconds: float) -> None:
        """See `FleetClock.hear`."""
        self._hear(witness, seconds, 0.0)

    def _hear(self, witness: Witness, seconds: float, took: float) -> None:
        """Take over the store's time as exactly as it is known, another's only if it is far off."""
        self._heard[witness] = _Heard(seconds - self._monotonic(), took, self._machine_origin())
        told = self.compared().told
        chosen = trusted(told)
        if chosen and (chosen is Witness.STORE or not agree(told[chosen], timedelta(0))):
            self._origin += told[chosen].total_seconds()

    def compared(self) -> ClockComparison:
        """See `FleetClock.compared`.

        If this machine's clock was set, or the machine was suspended, since a clock was heard, then what
        that clock told proves nothing any more: monotonic time may have stood still.
        """
        machine = self._machine_origin()
        told = {Witness.MACHINE: timedelta(seconds=machine - self._origin)}
        for witness, heard in self._heard.items():
            if agree(timedelta(seconds=heard.machine), timedelta(seconds=machine)):
                told[witness] = heard.ahead_of(self._origin)
        return ClockComparison(told)

    def set_fleet_time(self, seconds: float) -> timedelta:
        """Adopt a time, in seconds since 1970; return how far this clock was off."""
        correction = seconds - self._monotonic() - self._origin
        self._origin += correction
        return timedelta(seconds=correction)

    def _machine_origin(self) -> float:
        return self._machine() - self._monotonic()


class SystemRandomness:
    """Spread out what would otherwise happen at the same time; make up what nobody guesses.

    Words are drawn ahead, so a process must not be forked after this is made: both would give the same words.
    """

    def __init__(self) -> None:
        self._words: list[str] = []

    def jitter(self, duration: timedelta, spread: float = 0.2) -> timedelta:
        """Return the duration, up to `spread` of it longer or shorter."""
        return duration * random.uniform(1 - spread, 1 + spread)  # noqa: S311 - no secret depends on it

    def unguessable(self) -> str:
        """Return 32 letters and digits that nobody can guess."""
        if not self._words:
            # Each question to the system takes as long as the rest of a page's signature.
            drawn = secrets.token_hex(WORDS_DRAWN * WORD // 2)
            self._words = [drawn[start : start + WORD] for start in range(0, len(drawn), WORD)]
        return self._words.pop()
