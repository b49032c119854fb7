"""Circuit breakers: while most calls fail, few are sent, until one succeeds (engine rule 7).

A single failed call is no outage. An outage is a share of many calls that fail within a window, for one
app, corp and endpoint; of calls that callers shape, for one caller. An open breaker lets a probe through at
growing intervals; a probe that succeeds closes it. A call that carries a login code is held back only where
nothing has succeeded lately: its caller has no second code.

Each replica judges by its own calls: what one replica cannot reach, another may.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.domain.errors import WecomUnavailable
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.rate_gate import CallScope

WINDOW = timedelta(seconds=10)
FEWEST_FAILURES = 5
"""Fewer failures within the window are no outage, whatever their share."""
FAILING_SHARE = 0.5
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=0.5), timedelta(seconds=30)
MOST_BREAKERS = 1000
"""Callers choose paths, and each path has a breaker: beyond this many, idle ones are dropped."""
MOST_HELD = 20_000
"""Beyond this many, those that were made first are dropped, idle or not."""

Key = tuple[str, str, str, str]


@dataclass(slots=True)
class Tally:
    """Calls and failures since a moment."""

    since: datetime
    calls: int = 0
    failures: int = 0


@dataclass(slots=True)
class Breaker:
    """The recent calls of one app, corp and endpoint, in two halves of the window."""

    current: Tally
    previous: Tally = field(init=False)
    probe_at: datetime | None = None
    """When the next probe may go out; None = closed."""
    probes: int = 0

    def __post_init__(self) -> None:
        self.previous = Tally(self.current.since)

    def turn(self, now: datetime) -> None:
        """Forget the half of the window that is over."""
        # A tally from the future dates from before the clock was set back.
        age, half = now - self.current.since, WINDOW / 2
        if not timedelta(0) <= age < half:
            self.previous = self.current if half <= age < 2 * half else Tally(now)
            self.current = Tally(now)

    @property
    def calls(self) -> int:
        """Return how many calls ended within the window."""
        return self.previous.calls + self.current.calls

    @property
    def failures(self) -> int:
        """Return how many of them failed."""
        return self.previous.failures + self.current.failures

    @property
    def is_failing(self) -> bool:
        """Return whether the window shows an outage."""
        return self.failures >= FEWEST_FAILURES and self.failures >= FAILING_SHARE * self.calls


class CircuitBreakers:
    """Refuse calls while WeCom fails most of them."""

    def __init__(self, clock: Clock, randomness: Randomness) -> None:
        self._clock = clock
        self._randomness = randomness
        self._breakers: dict[Key, Breaker] = {}
        self._room = MOST_BREAKERS

    def check(self, scope: CallScope) -> None:
        """Return if the call may go out, perhaps as a probe. Raises `WecomUnavailable`."""
        breaker = self._breakers.get(_key(scope))
        if breaker is None or breaker.probe_at is None:
            return
        now = self._clock.now()
        # A longer pause than any dates from before the clock was set back.
        if not timedelta(0) < breaker.probe_at - now <= 2 * LONGEST_PAUSE:
            breaker.probes += 1
            breaker.probe_at = now + self._pause(breaker.probes)
            return
        breaker.turn(now)
        if scope.carries_code and breaker.failures < breaker.calls:
            return
        raise WecomUnavailable(
            "WeCom fails most calls of this endpoint",
            max(breaker.probe_at - now, timedelta(milliseconds=1)),
            endpoint=scope.endpoint,
        )

    def succeeded(self, scope: CallScope) -> None:
        """Count a call that WeCom answered, whatever it said."""
        breaker = self._counted(scope, failed=False)
        if breaker.probe_at is not None:
            # Failures from before the outage ended say nothing about the calls to come.
            del self._breakers[_key(scope)]

    def failed(self, scope: CallScope) -> None:
        """Count a call that WeCom did not answer, or answered with "busy"."""
        breaker = self._counted(scope, failed=True)
        if breaker.probe_at is None and breaker.is_failing:
            breaker.probes = 0
            breaker.probe_at = self._clock.now() + self._pause(0)

    def _counted(self, scope: CallScope, *, failed: bool) -> Breaker:
        now = self._clock.now()
        breaker = self._breakers.get(_key(scope))
        if breaker is None:
            self._make_room(now)
            breaker = self._breakers[_key(scope)] = Breaker(Tally(now))
        breaker.turn(now)
        breaker.current.calls += 1
        breaker.current.failures += failed
        return breaker

    def _pause(self, probes: int) -> timedelta:
        return self._randomness.jitter(min(FIRST_PAUSE * 2 ** min(probes, 10), LONGEST_PAUSE))

    def _make_room(self, now: datetime) -> None:
        if len(self._breakers) >= self._room:
            self._breakers = {
                key: breaker
                for key, breaker in self._breakers.items()
                if now < (breaker.probe_at or breaker.current.since) + WINDOW
            }
            # Thousands of corps may be called within the window: then few calls look for idle ones.
            self._room = max(MOST_BREAKERS, min(2 * len(self._breakers), MOST_HELD))
            if len(self._breakers) >= MOST_HELD:
                # Many at once, so that few calls look for idle ones.
                self._breakers = dict(list(self._breakers.items())[MOST_HELD // 10 :])


def _key(scope: CallScope) -> Key:
    return (scope.app, scope.corp_id, scope.endpoint, scope.caller)
