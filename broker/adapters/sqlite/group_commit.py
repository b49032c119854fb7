"""Transactions that wait for the one thread of a database: what arrives while one commits shares the next.

Each is answered once its own commit is on disk. Where one of a batch fails, the batch is rolled back, and all
of them run again, each alone: none fails because of a neighbour. They run in the order in which they came.
"""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from broker.domain.ports.store import Notice

QUEUE_SECONDS = 1.0
"""How long a transaction may wait for its turn; after that it is dropped, and its caller goes on."""
EXECUTION_SECONDS = 1.0
"""How long one may run; after that its caller goes on, and others do not queue up behind it."""
LARGEST_BATCH = 128
BATCH_SECONDS = 0.05
"""A batch that has run for so long takes no further transaction: the first of it waits for the last."""
PRIMARY_CODE = 0xFF
"""The part of an error code that says what went wrong; the rest says where."""


@dataclass(slots=True, eq=False)
class Turn:
    """The statements of one caller, in the queue or under way."""

    statements: Callable[[], Any]
    answer: "asyncio.Future[Any]"
    queued_at: float
    began_at: float | None = None
    timer: asyncio.TimerHandle | None = None
    outcome: Any = None
    """What the statements returned, or the error."""
    notices: list[Notice] = field(default_factory=list)

    def is_dropped(self) -> bool:
        """Return whether nobody waits for it any more."""
        return self.answer.done()

    def check_time(self) -> None:
        """Give up if it has not begun yet, or runs for too long; what has begun may still commit."""
        if self.answer.done():
            return
        loop = self.answer.get_loop()
        left = self.began_at + EXECUTION_SECONDS - time.monotonic() if self.began_at is not None else 0.0
        if left > 0:
            self.timer = loop.call_later(left, self.check_time)
        else:
            self.answer.set_exception(TimeoutError())


class GroupCommit:
    """Run transactions of one database in its thread."""

    def __init__(
        self, database: sqlite3.Connection, thread: ThreadPoolExecutor, pass_on: Callable[[Notice], None]
    ) -> None:
        """Hand each notice of what was committed to `pass_on`, in the event loop."""
        self._database = database
        self._thread = thread
        self._pass_on = pass_on
        self._waiting: deque[Turn] = deque()
        self._is_busy = False
        """Whether the thread has a batch, or is about to get one."""
        self._running_since: float | None = None
        self._locked_at = 0.0
        """When a transaction last waited for the lock in vain: those queued behind it have waited too."""
        self._outbox: list[Notice] = []

    async def run(self, statements: Callable[[], Any]) -> Any:  # noqa: ANN401 - as the statements answer
        """Return what the statements return, once it is committed. Raises their errors, and `TimeoutError`.

        They may run twice: the first time, what they did is rolled back.
        """
        running_since = self._running_since  # the database's thread may end what runs at any time
        if running_since and time.monotonic() - running_since > EXECUTION_SECONDS:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        turn = Turn(statements, loop.create_future(), time.monotonic())
        turn.timer = loop.call_later(QUEUE_SECONDS, turn.check_time)
        self._waiting.append(turn)
        if not self._is_busy:
            self._is_busy = True
            # What other tasks of this round of the loop add is committed with it.
            loop.call_soon(self._begin_batch, loop)
        try:
            return await turn.answer
        finally:
            if turn.timer:
                turn.timer.cancel()

    def publish(self, notice: Notice) -> None:
        """Send the notice once what runs now is committed; for use in statements."""
        self._outbox.append(notice)

    def _begin_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        batch: list[Turn] = []
        while self._waiting and len(batch) < LARGEST_BATCH:
            turn = self._waiting.popleft()
            if not turn.is_dropped():
                batch.append(turn)
        self._is_busy = bool(batch)
        if not batch:
            return
        try:
            self._thread.submit(self._work, batch, loop)
        except RuntimeError:
            for turn in batch:
                turn.outcome = sqlite3.ProgrammingError("it is closed")
            loop.call_soon(self._end_batch, batch, (), loop)

    def _work(self, batch: Sequence[Turn], loop: asyncio.AbstractEventLoop) -> None:
        """Run the batch, in the thread; what it has no time for goes back to the queue."""
        self._running_since = time.monotonic()
        ended = self._commit(batch)
        self._running_since = None
        loop.call_soon_threadsafe(self._end_batch, ended, batch[len(ended) :], loop)

    def _end_batch(
        self, ended: Sequence[Turn], left: Sequence[Turn], loop: asyncio.AbstractEventLoop
    ) -> None:
        for turn in ended:
            # Also if its caller gave up.
            for notice in turn.notices:
                self._pass_on(notice)
            if turn.is_dropped():
                continue
            if isinstance(turn.outcome, Exception):
                turn.answer.set_exception(turn.outcome)
            else:
                turn.answer.set_result(turn.outcome)
        self._waiting.extendleft(reversed(left))
        self._begin_batch(loop)

    def _commit(self, batch: Sequence[Turn]) -> Sequence[Turn]:
        """Commit the batch, or as much of it as there is time for; return that."""
        ends = time.monotonic() + BATCH_SECONDS
        count = 0
        try:
            with self._database:
                for turn in batch:
                    if count and time.monotonic() > ends:
                        break
                    count += 1
                    if not turn.is_dropped():
                        self._execute(turn)
        except Exception as error:  # noqa: BLE001 - each caller gets its own, below
            if count == 1:
                self._failed(batch[0], error)
            else:
                self._note_lock(error)
                for turn in batch[:count]:
                    self._commit_alone(turn)
        return batch[:count]

    def _commit_alone(self, turn: Turn) -> None:
        turn.notices.clear()
        if turn.is_dropped():
            return
        try:
            with self._database:
                self._execute(turn)
        except Exception as error:  # noqa: BLE001 - it is its caller's
            self._failed(turn, error)

    def _execute(self, turn: Turn) -> None:
        turn.began_at = turn.began_at or time.monotonic()
        if turn.queued_at < self._locked_at:
            raise sqlite3.OperationalError("another process holds its lock")
        self._outbox = turn.notices
        turn.outcome = turn.statements()

    def _failed(self, turn: Turn, error: Exception) -> None:
        self._note_lock(error)
        turn.notices.clear()
        turn.outcome = error

    def _note_lock(self, error: Exception) -> None:
        if isinstance(error, sqlite3.OperationalError):
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
            if code & PRIMARY_CODE == sqlite3.SQLITE_BUSY:
                self._locked_at = time.monotonic()
