"""The embedded store: one SQLite file for one process, durable, nothing to install."""

import asyncio
import fcntl
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from broker.domain.errors import StoreUnavailable
from broker.domain.ports import Busy, Clock, Lease, Notice, NoticeKind, Record

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  name TEXT PRIMARY KEY, issued INTEGER NOT NULL DEFAULT 0, fence INTEGER NOT NULL DEFAULT 0,
  payload BLOB, keep_until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, ends REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tallies (name TEXT PRIMARY KEY, count INTEGER NOT NULL, ends REAL NOT NULL);
CREATE INDEX IF NOT EXISTS records_by_end ON records (keep_until);
CREATE INDEX IF NOT EXISTS tallies_by_end ON tallies (ends);
"""
TOMBSTONE_KEPT = timedelta(days=1)

Answer = TypeVar("Answer")


class StoreInUse(Exception):
    """Another process has the file."""


class SqliteStore:
    """Keep records in one file. Statements run in a thread of their own, one after the other."""

    def __init__(self, database: sqlite3.Connection, thread: ThreadPoolExecutor, clock: Clock) -> None:
        self._database = database
        self._thread = thread
        self._clock = clock
        self._listeners: set[asyncio.Queue[Notice]] = set()

    async def load(self, names: Sequence[str]) -> dict[str, Record]:
        """See `Records.load`."""
        if not names:
            return {}
        marks = ",".join("?" * len(names))
        query = f"SELECT name, fence, payload, keep_until FROM records WHERE fence > 0 AND name IN ({marks})"  # noqa: S608

        def read() -> list[tuple[str, int, bytes | None, float]]:
            return self._database.execute(query, list(names)).fetchall()

        return {
            name: Record(name, fence, payload or b"", datetime.fromtimestamp(keep_until, UTC))
            for name, fence, payload, keep_until in await self._run(read)
        }

    async def commit(self, record: Record, lease: Lease) -> bool:
        """See `Records.commit`."""

        def write() -> bool:
            if self._owner(lease.name) != lease.owner or self._fence(record.name) >= record.fence:
                return False
            self._write(record)
            self._database.execute("DELETE FROM leases WHERE name = ?", (lease.name,))
            return True

        return await self._run(write, Notice(NoticeKind.COMMITTED, record.name, record.fence))

    async def offer(self, record: Record) -> bool:
        """See `Records.offer`."""

        def write() -> bool:
            if self._fence(record.name) >= record.fence:
                return False
            self._write(record)
            return True

        return await self._run(write, Notice(NoticeKind.COMMITTED, record.name, record.fence))

    async def replace(self, record: Record) -> bool:
        """See `Records.replace`."""
        # What was forgotten since it was read (its payload is empty) stays forgotten.
        change = "UPDATE records SET payload = ? WHERE name = ? AND fence = ? AND payload <> x''"
        values = (record.payload, record.name, record.fence)
        return await self._run(lambda: self._database.execute(change, values).rowcount == 1)

    async def forget(self, name: str, fence: int) -> None:
        """See `Records.forget`."""
        tombstone = Record(name, fence, b"", self._clock.now() + TOMBSTONE_KEPT)

        def write() -> bool:
            if self._fence(name) > fence:
                return False
            self._write(tombstone)
            return True

        await self._run(write, Notice(NoticeKind.FORGOTTEN, name, fence))

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        """See `Leases.acquire`."""
        now = self._clock.now().timestamp()
        owner = secrets.token_hex(16)

        def take() -> int | float:
            row = self._database.execute("SELECT ends FROM leases WHERE name = ?", (name,)).fetchone()
            if row and row[0] > now:
                return float(row[0] - now)
            row = self._database.execute("SELECT issued FROM records WHERE name = ?", (name,)).fetchone()
            fence = max((row[0] if row else 0) + 1, int(now * 1000), floor + 1)
            self._database.execute(
                "INSERT INTO records (name, issued, keep_until) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET issued = excluded.issued",
                (name, fence, now + TOMBSTONE_KEPT.total_seconds()),
            )
            ends = now + duration.total_seconds()
            self._database.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (name, owner, ends))
            return fence

        taken = await self._run(take)
        if isinstance(taken, float):
            return Busy(timedelta(seconds=taken))
        return Lease(name, owner, taken, duration)

    async def renew(self, lease: Lease) -> bool:
        """See `Leases.renew`."""
        ends = self._clock.now().timestamp() + lease.duration.total_seconds()

        def extend() -> bool:
            if self._owner(lease.name) != lease.owner:
                return False
            self._database.execute("UPDATE leases SET ends = ? WHERE name = ?", (ends, lease.name))
            return True

        return await self._run(extend)

    async def release(self, lease: Lease) -> None:
        """See `Leases.release`."""

        def give_back() -> bool:
            if self._owner(lease.name) != lease.owner:
                return False
            self._database.execute("DELETE FROM leases WHERE name = ?", (lease.name,))
            return True

        await self._run(give_back, Notice(NoticeKind.RELEASED, lease.name, lease.fence))

    async def count(self, name: str, window: timedelta) -> int:
        """See `Tallies.count`."""
        now = self._clock.now().timestamp()

        def add() -> int:
            row = self._database.execute("SELECT count, ends FROM tallies WHERE name = ?", (name,)).fetchone()
            count, ends = (row[0] + 1, row[1]) if row and row[1] > now else (1, now + window.total_seconds())
            if count == 1:
                _sweep(self._database, now)
            self._database.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?)", (name, count, ends))
            return int(count)

        return await self._run(add)

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        """See `Tallies.counts`."""
        now = self._clock.now().timestamp()

        def read() -> dict[str, int]:
            query = "SELECT count FROM tallies WHERE name = ? AND ends > ?"
            rows = {name: self._database.execute(query, (name, now)).fetchone() for name in names}
            return {name: int(row[0]) if row else 0 for name, row in rows.items()}

        return await self._run(read)

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

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._run(lambda: self._database.execute("SELECT 1").fetchone())

    async def _run(self, statements: Callable[[], Answer], notice: Notice | None = None) -> Answer:
        """Run the statements in one transaction, and tell what they changed. Raises `StoreUnavailable`."""
        loop = asyncio.get_running_loop()

        def transaction() -> Answer:
            with self._database:
                answer = statements()
            if answer and notice:
                # From here: a caller who gave up meanwhile does not stop what is written from being told.
                loop.call_soon_threadsafe(self._tell, notice)
            return answer

        try:
            return await loop.run_in_executor(self._thread, transaction)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the embedded store failed: {error}", timedelta(seconds=1)) from None

    def _tell(self, notice: Notice) -> None:
        for queue in self._listeners:
            queue.put_nowait(notice)

    def _owner(self, name: str) -> str | None:
        row = self._database.execute("SELECT owner, ends FROM leases WHERE name = ?", (name,)).fetchone()
        return row[0] if row and row[1] > self._clock.now().timestamp() else None

    def _fence(self, name: str) -> int:
        row = self._database.execute("SELECT fence FROM records WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def _write(self, record: Record) -> None:
        self._database.execute(
            "INSERT INTO records (name, issued, fence, payload, keep_until) VALUES (?1, ?2, ?2, ?3, ?4)"
            " ON CONFLICT (name) DO UPDATE"
            " SET issued = max(issued, ?2), fence = ?2, payload = ?3, keep_until = ?4",
            (record.name, record.fence, record.payload, min(record.keep_until.timestamp(), 4e9)),
        )


@asynccontextmanager
async def open_sqlite(path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    """Open the file, made if it is missing (0600). Raises `StoreInUse`, `OSError`, `sqlite3.Error`."""
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
            database.executescript(SCHEMA)
            if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError(f"{path} is damaged")
            with database:
                _sweep(database, clock.now().timestamp())
                # An earlier process is gone, and so are the holders of its leases.
                database.execute("DELETE FROM leases")
            yield SqliteStore(database, thread, clock)
        finally:
            thread.shutdown(wait=True)
            database.close()


def _sweep(database: sqlite3.Connection, now: float) -> None:
    """Delete what nobody needs any more."""
    database.execute("DELETE FROM records WHERE keep_until < ?", (now,))
    database.execute("DELETE FROM tallies WHERE ends < ?", (now,))
