"""Whether a server is asked: after a failure not for a moment, and then by one caller first."""

import time
from datetime import timedelta

from broker.adapters.redis.servers import port
from broker.domain.errors import StoreUnavailable

LEFT_ALONE_SECONDS = 0.5
"""How long no command is sent after a failure: a hung Redis must not cost every caller a second."""


class Breaker:
    """What is known of one server; of a cluster one member may fail while the others serve."""

    def __init__(self) -> None:
        self._failed = False
        self._cause = ""
        self._down_until = 0.0

    def refuse_while_down(self) -> None:
        """Raise `StoreUnavailable` if it failed a moment ago, or another caller tries it."""
        if time.monotonic() < self._down_until:
            raise unavailable(f"{self._cause} (a moment ago)")

    def begin(self) -> bool:
        """Return whether this is an attempt after a failure: the others do not wait for its outcome."""
        if self._failed:
            self._down_until = time.monotonic() + port.ANSWER_SECONDS
        return self._failed

    def answered(self) -> None:
        """Record that it is up."""
        self._failed = False
        self._down_until = 0.0

    def failed(self, cause: str) -> None:
        """Record that it does not answer."""
        self._failed = True
        self._cause = cause
        self._down_until = time.monotonic() + LEFT_ALONE_SECONDS

    def given_up(self) -> None:
        """Record that the caller who tried it left before the outcome: the next one may try."""
        self._down_until = 0.0


def unavailable(why: str) -> StoreUnavailable:
    """Return the error for a Redis that failed, hung or refused."""
    return StoreUnavailable(f"Redis is not available: {why}", timedelta(seconds=LEFT_ALONE_SECONDS * 2))
