"""The streams that callers have open: each ends as soon as its caller loses the right to it, or its proof."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Self

from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import BrokerError

LOOKED_AT_ONCE = 100
"""How many streams are looked at before other work of the event loop goes on."""
SENT_WITHIN_SECONDS = 0.5
"""How long a stream that is cut waits for its initial metadata, which a client that reads has long before."""
AFTER_END_SECONDS = 0.1
"""How long after the end of a certificate its streams are looked at."""
LONGEST_REST_SECONDS = 30.0
"""After this the rest of a certificate's life is computed anew: somebody may set the clock."""


class OpenStream:
    """One stream, a context manager; `refusal` is set once its caller has lost the right to it."""

    __slots__ = ("_alarm", "_open", "_task", "check", "refusal")

    def __init__(self, open_streams: "set[OpenStream]", task: "asyncio.Task[object]") -> None:
        self._open = open_streams
        self._task = task
        self.refusal: BrokerError | None = None
        self.check: Callable[[], None] | None = None
        """Raises what the caller is refused with under the present rules; None before it was let in."""
        self._alarm: asyncio.TimerHandle | None = None

    def look_again(self) -> None:
        """Cut the stream if its caller may not have it any more."""
        if self.check is None or self.refusal:
            return
        try:
            self.check()
        except BrokerError as error:
            self.refusal = error
            self._task.cancel()

    def look_again_when_over(self, lasts: Callable[[], timedelta | None]) -> None:
        """Cut the stream when the proof of its caller ends; `lasts` tells in how long, or None for never."""
        if self.refusal or (left := lasts()) is None:
            return

        def look() -> None:
            self.look_again()
            self.look_again_when_over(lasts)

        rest = min(max(left.total_seconds(), 0) + AFTER_END_SECONDS, LONGEST_REST_SECONDS)
        self._alarm = asyncio.get_running_loop().call_later(rest, look)

    def __enter__(self) -> Self:
        self._open.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.discard(self)
        if self._alarm:
            self._alarm.cancel()


class OpenStreams:
    """All of them, on every listener of this replica."""

    def __init__(self, policy: CallerPolicy) -> None:
        self._open: set[OpenStream] = set()
        policy.on_change(self._look_again)

    def opened(self) -> OpenStream:
        """Return the stream that the current task serves; it is watched in its context."""
        task = asyncio.current_task()
        assert task  # noqa: S101 - a stream is served by a task
        return OpenStream(self._open, task)

    def _look_again(self) -> None:
        if self._open:
            # Later: what else hears of the change may hear of it after this.
            asyncio.get_running_loop().call_soon(self._look_at, list(self._open))

    def _look_at(self, streams: list[OpenStream]) -> None:
        for stream in streams[:LOOKED_AT_ONCE]:
            stream.look_again()
        if rest := streams[LOOKED_AT_ONCE:]:
            asyncio.get_running_loop().call_soon(self._look_at, rest)


async def sent(sending: Awaitable[None]) -> None:
    """Send initial metadata, or the first message, which brings them; finish that also if the stream is cut.

    While they are on their way, gRPC sends no status: the client would wait for ever.
    """
    task = asyncio.ensure_future(sending)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=SENT_WITHIN_SECONDS)
        if not task.cancel() and not task.cancelled():
            task.exception()
        raise
