"""The embedded store: one SQLite file for one process, durable, nothing to install."""

import secrets
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from broker.adapters.sqlite.connection import StoreInUse, connect_sqlite
from broker.adapters.sqlite.groups import SqliteGroups, drop_ended
from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Busy, Lease, Notice, NoticeKind, Record
from broker.domain.ports.tracer import NO_TRACER, Tracer
from broker.domain.stores.redis_address import Topology
from broker.domain.stores.status import StoreStatus

__all__ = ["SqliteStore", "StoreInUse", "open_sqlite"]

TOMBSTONE_KEPT = timedelta(days=1)
COUNTED = (
    "SELECT count, ends FROM tallies WHERE name = ? AND typeof(ends) = 'real' AND ends > ? AND ends < ?"
    " AND typeof(count) = 'integer' AND count BETWEEN 0 AND 1000000000000000"
)
"""What no broker wrote is no count."""
LARGEST_BELIEVED = 10**14
"""A fencing number of the year 5138, in milliseconds."""


class SqliteStore(SqliteGroups):
    """Keep records in one file; the event log of the same file shares its connection."""

    async def load(self, names: Sequence[str]) -> dict[str, Record]:
        """See `Records.load`."""
        if not names:
            return {}
        values = ",".join("?" * len(names))
        # SQLite keeps values of any type in any column.
        query = (
            f"SELECT name, fence, payload FROM records WHERE name IN ({values})"  # noqa: S608
            " AND typeof(fence) = 'integer' AND fence > 0 AND typeof(payload) IN ('blob', 'null')"
        )

        def read() -> list[tuple[str, int, bytes | None]]:
            return self._database.execute(query, list(names)).fetchall()

        return {
            name: Record(name, fence, payload or b"", datetime.max.replace(tzinfo=UTC))
            for name, fence, payload in await self.connection.run(read)
        }

    async def commit(self, record: Record, lease: Lease) -> bool:
        """See `Records.commit`."""

        def write() -> bool:
            if self._owner(lease.name) != lease.owner or self._fence(record.name) >= record.fence:
                return False
            self._write(record)
            self._database.execute("DELETE FROM leases WHERE name = ?", (lease.name,))
            self.connection.publish(Notice(NoticeKind.COMMITTED, record.name, record.fence))
            return True

        return await self.connection.run(write)

    async def offer(self, record: Record) -> bool:
        """See `Records.offer`."""

        def write() -> bool:
            if self._fence(record.name) >= record.fence:
                return False
            self._write(record)
            self.connection.publish(Notice(NoticeKind.COMMITTED, record.name, record.fence))
            return True

        return await self.connection.run(write)

    async def supplant(self, record: Record, damaged: bytes) -> bool:
        """See `Records.supplant`."""

        def write() -> bool:
            held = "SELECT 1 FROM records WHERE name = ? AND payload = ?"
            if not self._database.execute(held, (record.name, damaged)).fetchone():
                return False
            self._write(record)
            self.connection.publish(Notice(NoticeKind.COMMITTED, record.name, record.fence))
            return True

        return await self.connection.run(write)

    async def replace(self, record: Record) -> bool:
        """See `Records.replace`."""
        # A record that was forgotten since it was read (its payload is empty) stays forgotten.
        change = "UPDATE records SET payload = ? WHERE name = ? AND fence = ? AND payload <> x''"
        values = (record.payload, record.name, record.fence)
        return await self.connection.run(lambda: self._database.execute(change, values).rowcount == 1)

    async def forget(self, name: str, fence: int) -> None:
        """See `Records.forget`."""
        tombstone = Record(name, fence, b"", self._clock.now() + TOMBSTONE_KEPT)

        def write() -> None:
            if self._fence(name) <= fence:
                self._write(tombstone)
                self.connection.publish(Notice(NoticeKind.FORGOTTEN, name, fence))

        await self.connection.run(write)

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        """See `Leases.acquire`."""
        now = self._clock.now().timestamp()
        owner = secrets.token_hex(16)

        def take() -> int | float:
            held = "SELECT ends FROM leases WHERE name = ? AND typeof(ends) = 'real'"
            row = self._database.execute(held, (name,)).fetchone()
            if row and 0 < row[0] - now <= 2 * duration.total_seconds():
                return float(row[0] - now)
            issued = self._number("issued", name)
            fence = max(issued + 1, self._fence(name) + 1, int(now * 1000), floor + 1)
            self._database.execute(
                "INSERT INTO records (name, issued, keep_until) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET issued = excluded.issued",
                (name, fence, now + TOMBSTONE_KEPT.total_seconds()),
            )
            ends = now + duration.total_seconds()
            self._database.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (name, owner, ends))
            return fence

        taken = await self.connection.run(take)
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

        return await self.connection.run(extend)

    async def release(self, lease: Lease) -> None:
        """See `Leases.release`."""

        def give_back() -> None:
            if self._owner(lease.name) == lease.owner:
                self._database.execute("DELETE FROM leases WHERE name = ?", (lease.name,))
                self.connection.publish(Notice(NoticeKind.RELEASED, lease.name, lease.fence))

        await self.connection.run(give_back)

    async def count(self, name: str, window: timedelta) -> int:
        """See `Counters.count`."""
        now = self._clock.now().timestamp()

        def add() -> int:
            latest = now + 2 * window.total_seconds() + 60  # no broker wrote one that lasts longer
            row = self._database.execute(COUNTED, (name, now, latest)).fetchone()
            count, ends = (row[0] + 1, row[1]) if row else (1, now + window.total_seconds())
            if count == 1:
                _sweep(self._database, now)
            self._database.execute("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?)", (name, count, ends))
            return int(count)

        return await self.connection.run(add)

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        """See `Counters.counts`."""
        now = self._clock.now().timestamp()

        def read() -> dict[str, int]:
            rows = {name: self._database.execute(COUNTED, (name, now, 1e11)).fetchone() for name in names}
            return {name: int(row[0]) if row else 0 for name, row in rows.items()}

        return await self.connection.run(read)

    def notices(self) -> AsyncIterator[Notice]:
        """See `Store.notices`; the event log's are among them."""
        return self.connection.notices()

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self.connection.prove()

    async def status(self) -> StoreStatus:
        """See `Store.status`."""
        return StoreStatus(Topology.SQLITE)

    async def durability_problem(self) -> str:
        """See `Store.durability_problem`: each transaction ends on disk (synchronous = FULL)."""
        return ""

    def _owner(self, name: str) -> str | None:
        held = "SELECT owner FROM leases WHERE name = ? AND ends > ? AND typeof(ends) = 'real'"
        row = self._database.execute(held, (name, self._clock.now().timestamp())).fetchone()
        return row[0] if row else None

    def _fence(self, name: str) -> int:
        return self._number("fence", name)

    def _number(self, column: Literal["fence", "issued"], name: str) -> int:
        """Return a fencing number; 0 for what is none, or so large that nothing could be written over it."""
        row = self._database.execute(f"SELECT {column} FROM records WHERE name = ?", (name,)).fetchone()  # noqa: S608
        return row[0] if row and isinstance(row[0], int) and 0 <= row[0] <= LARGEST_BELIEVED else 0

    def _write(self, record: Record) -> None:
        self._database.execute(
            "INSERT INTO records (name, issued, fence, payload, keep_until) VALUES (?1, ?2, ?2, ?3, ?4)"
            " ON CONFLICT (name) DO UPDATE"
            " SET issued = max(issued, ?2), fence = ?2, payload = ?3, keep_until = ?4",
            (record.name, record.fence, record.payload, min(record.keep_until.timestamp(), 4e9)),
        )


@asynccontextmanager
async def open_sqlite(path: Path, clock: Clock, tracer: Tracer = NO_TRACER) -> AsyncIterator[SqliteStore]:
    """Open the file, creating it if it is missing (0600). Raises `StoreInUse`, `OSError`, `sqlite3.Error`."""
    async with connect_sqlite(path, tracer) as connection:
        with connection.database:
            _sweep(connection.database, clock.now().timestamp())
            # An earlier process is gone, and so are the holders of its leases and events.
            connection.database.execute("DELETE FROM leases")
            connection.database.execute("UPDATE event_members SET alive_until = 0")
        yield SqliteStore(connection, clock)


def _sweep(database: sqlite3.Connection, now: float) -> None:
    """Delete what is no longer needed."""
    database.execute("DELETE FROM records WHERE keep_until < ?", (now,))
    database.execute("DELETE FROM tallies WHERE ends < ?", (now,))
    drop_ended(database, int(now * 1000))
