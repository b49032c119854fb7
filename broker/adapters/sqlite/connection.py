"""One SQLite file of one process: its lock, its thread, its transactions, and its notices."""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import TypeVar, cast

from broker.adapters.sqlite.group_commit import PRIMARY_CODE, GroupCommit
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.store import Notice, NoticeKind
from broker.domain.ports.tracer import NO_TRACER, Tracer

BUSY_MILLISECONDS = 200
"""How long a transaction waits for a lock that another process holds: those queued behind it wait too."""
SCHEMA = files("broker.adapters.sqlite") / "schema.sql"

SOON = timedelta(seconds=1)
UNWRITABLE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})
"""What a full disk and the like answer to a write, while reads go on."""
PROBE = "INSERT OR REPLACE INTO tallies VALUES ('probe', 0, 0)"

Answer = TypeVar("Answer")


class StoreInUse(Exception):
    """Another process uses the file."""


class SqliteConnection:
    """Run statements in a separate thread: transactions that arrive together share a commit."""

    def __init__(
        self, database: sqlite3.Connection, thread: ThreadPoolExecutor, tracer: Tracer = NO_TRACER
    ) -> None:
        self.database = database
        """For statements, which run in the thread."""
        self._tracer = tracer
        self._listeners: set[asyncio.Queue[Notice]] = set()
        self._transactions = GroupCommit(database, thread, self._pass_on)
        self.publish = self._transactions.publish
        """Send a notice once the current transaction is committed; for use in statements."""
        self.takes_writes = True
        """False from a write that failed on, until one succeeds: reads alone would not show it."""

    async def run(self, statements: Callable[[], Answer]) -> Answer:
        """Run the statements in one transaction, then send their notices. Raises `StoreUnavailable`.

        See `GroupCommit.run`: they may run twice, and change nothing but the database.
        """
        try:
            with self._tracer.store_script(_name_of(statements)):
                return cast("Answer", await self._transactions.run(statements))
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & PRIMARY_CODE in UNWRITABLE:
                self.takes_writes = False
            raise StoreUnavailable(f"the embedded store failed: {error}", SOON) from None
        except TimeoutError:
            raise StoreUnavailable("the embedded store did not answer in time", SOON) from None

    async def prove(self) -> None:
        """Return if the file can be read, and written where a write has failed. Raises `StoreUnavailable`."""
        if self.takes_writes:
            await self.run(lambda: self.database.execute("SELECT 1").fetchone())
            return
        await self.run(lambda: self.database.execute(PROBE))
        self.takes_writes = True

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


@asynccontextmanager
async def connect_sqlite(path: Path, tracer: Tracer = NO_TRACER) -> AsyncIterator[SqliteConnection]:
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
            yield SqliteConnection(database, thread, tracer)
        finally:
            thread.shutdown(wait=True)
            database.close()


def _name_of(statements: Callable[[], object]) -> str:
    """Return the method of a port that the statements are a part of: `acquire`, of the store's `acquire`."""
    _, _, method = statements.__qualname__.partition(".<locals>")[0].rpartition(".")
    return method.lstrip("_")


def _bring_up_to_date(database: sqlite3.Connection) -> None:
    """Create missing tables, and columns that an older broker did not create."""
    database.executescript(SCHEMA.read_text(encoding="utf-8"))
    columns = {name for _, name, *_ in database.execute("PRAGMA table_info(event_work)")}
    if "losses" not in columns:
        database.execute("ALTER TABLE event_work ADD COLUMN losses INTEGER NOT NULL DEFAULT 0")
