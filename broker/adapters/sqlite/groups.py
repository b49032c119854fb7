"""Groups of names in the embedded store: a row a name, with the time at which it ends."""

import sqlite3
from datetime import datetime

from broker.adapters.sqlite.connection import SqliteConnection
from broker.domain.ports.clock import Clock


class SqliteGroups:
    """Times are in whole milliseconds, as in Redis; names that end together are in byte order."""

    def __init__(self, connection: SqliteConnection, clock: Clock) -> None:
        self.connection = connection
        self._database = connection.database
        self._clock = clock

    async def enlist(self, group: str, name: str, keep_until: datetime) -> None:
        """See `Groups.enlist`."""
        values = (group, name, _milliseconds(keep_until))

        def add() -> None:
            self._database.execute(
                "INSERT INTO grouped_names VALUES (?, ?, ?)"
                " ON CONFLICT (group_name, name) DO UPDATE SET ends = max(ends, excluded.ends)",
                values,
            )
            drop_ended(self._database, _milliseconds(self._clock.now()))

        await self.connection.run(add)

    async def members(self, group: str, start: int, count: int) -> list[str]:
        """See `Groups.members`."""
        query = (
            "SELECT name FROM grouped_names WHERE group_name = ? AND ends > ?"
            " ORDER BY ends, name LIMIT ? OFFSET ?"
        )
        values = (group, _milliseconds(self._clock.now()), count, start)
        rows = await self.connection.run(lambda: self._database.execute(query, values).fetchall())
        return [name for (name,) in rows]

    async def strike(self, group: str, name: str) -> None:
        """See `Groups.strike`."""
        remove = "DELETE FROM grouped_names WHERE group_name = ? AND name = ?"
        await self.connection.run(lambda: self._database.execute(remove, (group, name)))


def drop_ended(database: sqlite3.Connection, now: int) -> None:
    """Delete the names whose time has passed, in all groups."""
    database.execute("DELETE FROM grouped_names WHERE ends <= ?", (now,))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
