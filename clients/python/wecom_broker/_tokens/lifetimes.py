"""How long tokens live, measured from their receipt, so that this machine's clock need not be right."""

from __future__ import annotations

import logging
import sys
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    from wecom_broker.v1 import token_service_pb2 as pb

if sys.platform == "linux":
    # This clock advances while the machine sleeps, as the life of a token does.
    steady = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
else:
    steady = time.monotonic

TokenAnswer: TypeAlias = (
    "pb.GetAccessTokenResponse | pb.WatchAccessTokenResponse | pb.ReportInvalidTokenResponse"
)
"""A message with a token."""

_log = logging.getLogger("wecom_broker")


class Lifetimes:
    """Computes when tokens expire, by a clock that is never adjusted."""

    def __init__(self, now: Callable[[], float], wall_clock: Callable[[], float] = time.time) -> None:
        """Use a monotonic clock, and the machine's wall clock, both in seconds."""
        self.now = now
        self._wall_clock = wall_clock
        self._warned = False

    def end_of(self, answer: TokenAnswer) -> float:
        """Return when the token of an answer that has just arrived expires, by `now`."""
        left_by_wall_clock = _seconds(answer.token.expire_time) - self._wall_clock()
        if left_by_wall_clock <= 0:
            self._warn(-left_by_wall_clock)
        # Brokers of version 0.1 do not send the remaining life.
        left = _seconds(answer.ttl) if answer.HasField("ttl") else left_by_wall_clock
        return self.now() + left

    def _warn(self, seconds: float) -> None:
        if not self._warned:
            self._warned = True
            ago = timedelta(seconds=round(seconds))
            _log.warning("by this machine's clock a token arrived %s after its end: set the clock", ago)


def _seconds(message: Timestamp | Duration) -> float:
    return message.seconds + message.nanos / 1e9
