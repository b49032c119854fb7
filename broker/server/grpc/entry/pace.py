"""How fast the calls of one caller are begun: a burst at once, further ones evenly."""


class Pace:
    """Tell each call how long to wait for its turn; nobody is refused here.

    One event loop answers all callers in turn: who sends more than it can answer would make all others wait.
    The arithmetic is that of `admission`.
    """

    def __init__(self, a_second: float, burst: int) -> None:
        self._interval = 1 / a_second
        self._burst = burst * self._interval
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Return in how many seconds the next call may begin."""
        self._due = max(self._due, now) + self._interval
        return max(0.0, self._due - now - self._burst)

    def lag(self, now: float) -> float:
        """Return how many seconds the next call would wait."""
        return max(0.0, self._due + self._interval - now - self._burst)

    def is_behind(self, now: float) -> bool:
        """Return whether calls are waiting."""
        return self._due - now > self._burst

    def passes(self, now: float) -> bool:
        """Begin a call and return True, unless calls are waiting."""
        due = self._due
        if due - now > self._burst:
            return False
        self._due = (due if due > now else now) + self._interval  # noqa: FURB136 - faster
        return True

    def weigh(self, calls: float) -> None:
        """Let a call count for so many more, which the next ones wait for."""
        self._due += calls * self._interval

    def give_back(self) -> None:
        """Take back one call, whose turn has not come: the next ones wait for it no longer."""
        self._due -= self._interval
