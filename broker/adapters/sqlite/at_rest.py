"""All sealed payloads in the embedded store's file, while no broker uses it."""

from collections.abc import AsyncIterator

from broker.adapters.sqlite.connection import SqliteConnection
from broker.domain.ports.at_rest import Change

AT_ONCE = 200
"""How many rows one transaction looks at."""


class SqliteAtRest:
    """Rows are exchanged in place."""

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._database = connection.database

    async def records(self) -> AsyncIterator[tuple[str, bytes]]:
        """See `AtRest.records`."""
        page = (
            "SELECT name, payload FROM records WHERE name > ? AND typeof(payload) = 'blob' AND payload <> x''"
            " ORDER BY name LIMIT ?"
        )
        after = ""
        while rows := await self._rows(page, after, AT_ONCE):
            for name, payload in rows:
                yield name, payload
            after = rows[-1][0]

    async def exchange(self, name: str, before: bytes, after: bytes) -> bool:
        """See `AtRest.exchange`."""
        change = "UPDATE records SET payload = ? WHERE name = ? AND payload = ?"
        values = (after, name, before)
        return await self._connection.run(lambda: self._database.execute(change, values).rowcount == 1)

    async def apps_with_events(self) -> list[str]:
        """See `AtRest.apps_with_events`."""
        return [row[0] for row in await self._rows("SELECT DISTINCT app FROM events ORDER BY app")]

    async def exchange_events(self, app: str, change: Change) -> bool:
        """See `AtRest.exchange_events`."""
        page = "SELECT place, payload FROM events WHERE app = ? AND place > ? ORDER BY place LIMIT ?"
        after = ""
        while rows := await self._rows(page, app, after, AT_ONCE):
            changed = [
                (change(app, payload), app, place) for place, payload in rows if isinstance(payload, bytes)
            ]
            await self._connection.run(
                lambda changed=changed: self._database.executemany(  # type: ignore[misc]
                    "UPDATE events SET payload = ? WHERE app = ? AND place = ?", changed
                )
            )
            after = rows[-1][0]
        return True

    async def _rows(self, query: str, *values: str | int) -> list[tuple[str, bytes]]:
        return await self._connection.run(lambda: self._database.execute(query, values).fetchall())
