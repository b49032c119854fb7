"""One SQLite file of one process: its lock, its thread, its transactions, and its notices."""

import asyncio
import fcntl
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from broker.domain.errors import StoreUnavailable
from broker.domain.ports.store import Notice, NoticeKind

QUEUE_SECONDS = 1.0
"""How long a transaction may wait for its turn; after that it is dropped, and its caller goes on."""
EXECUTION_SECONDS = 1.0
"""How long one may run; after that its caller goes on, and others do not queue up behind it."""
BUSY_MILLISECONDS = 200
"""How long a transaction waits for a lock that another process holds: those queued behind it wait too."""
SCHEMA = files("broker.adapters.sqlite") / "schema.sql"

SOON = timedelta(seconds=1)
PRIMARY_CODE = 0xFF
"""The part of an error code that says what went wrong; the rest says where."""

Answer = TypeVar("Answer")


class StoreInUse(Exception):
    """Another process uses the file."""


@dataclass(slots=True)
class _Turn:
    """A transaction in the queue, or under way."""

    queued_at: float
    began_at: float | None = None

    @property
    def is_overdue(self) -> bool:
        """Return whether it runs for too long."""
        return self.began_at is not None and time.monotonic() - self.began_at > EXECUTION_SECONDS


class SqliteConnection:
    """Run statements in a separate thread, one transaction at a time."""

    def __init__(self, database: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self.database = database
        """For statements, which run in the thread."""
        self._thread = thread
        self._outbox: list[Notice] = []
        self._listeners: set[asyncio.Queue[Notice]] = set()
        self._locked_at = 0.0
        """When a transaction last waited for the lock in vain: those queued behind it have waited too."""
        self._running: _Turn | None = None
        """The transaction that runs now."""

    async def run(self, statements: Callable[[], Answer]) -> Answer:
        """Run the statements in one transaction, then send their notices. Raises `StoreUnavailable`."""
        loop = asyncio.get_running_loop()
        turn = _Turn(queued_at=time.monotonic())

        def transaction() -> Answer:
            if turn.queued_at < self._locked_at:
                raise sqlite3.OperationalError("another process holds its lock")
            self._outbox.clear()
            turn.began_at = time.monotonic()
            self._running = turn
            try:
                with self.database:
                    answer = statements()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & PRIMARY_CODE == sqlite3.SQLITE_BUSY:
                    self._locked_at = time.monotonic()
                raise
            finally:
                self._running = None
            for notice in self._outbox:
                # Sent by the thread, so that the notice goes out even if the caller gave up.
                loop.call_soon_threadsafe(self._pass_on, notice)
            return answer

        try:
            if self._running and self._running.is_overdue:
                raise TimeoutError
            return await _in_time(loop.run_in_executor(self._thread, transaction), turn)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the embedded store failed: {error}", SOON) from None
        except TimeoutError:
            raise StoreUnavailable("the embedded store did not answer in time", SOON) from None

    def publish(self, notice: Notice) -> None:
        """Send the notice once the current transaction commits; for use in statements."""
        self._outbox.append(notice)

    async def notices(self) -> AsyncIterator[Notice]:
        """See `Store.notices`; inside this process there is no connection to lose."""
        queue: asyncio.Queue[Notice] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield Notice(NoticeKind.CONNECTED)
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    def _pass_on(self, notice: Notice) -> None:
        for queue in self._listeners:
            queue.put_nowait(notice)


async def _in_time(answering: "asyncio.Future[Answer]", turn: _Turn) -> Answer:
    """Return the answer. Raises `TimeoutError`; what has not begun by then never does.

    What has begun may still commit.
    """
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(QUEUE_SECONDS):
                return await asyncio.shield(answering)
        if turn.began_at is None:
            raise TimeoutError
        async with asyncio.timeout(turn.began_at + EXECUTION_SECONDS - time.monotonic()):
            return await asyncio.shield(answering)
    finally:
        answering.cancel()


@asynccontextmanager
async def connect_sqlite(path: Path) -> AsyncIterator[SqliteConnection]:
    """Open the file, creating it if it is missing (0600). Raises `StoreInUse`, `OSError`, `sqlite3.Error`."""
    path.touch(mode=0o600, exist_ok=True)
    lock_path = path.with_name(path.name + ".lock")
    with os.fdopen(os.open(lock_path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreInUse(f"{path} is in use by another process") from None
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        database = sqlite3.connect(path, check_same_thread=False, isolation_level="IMMEDIATE")
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            _bring_up_to_date(database)
            if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError(f"{path} is damaged")
            yield SqliteConnection(database, thread)
        finally:
            thread.shutdown(wait=True)
            database.close()


def _bring_up_to_date(database: sqlite3.Connection) -> None:
    """Create missing tables, and columns that an older broker did not create."""
    database.executescript(SCHEMA.read_text(encoding="utf-8"))
    columns = {name for _, name, *_ in database.execute("PRAGMA table_info(event_work)")}
    if "losses" not in columns:
        database.execute("ALTER TABLE event_work ADD COLUMN losses INTEGER NOT NULL DEFAULT 0")
