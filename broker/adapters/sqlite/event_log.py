"""The embedded event log: tables beside the store's, in the same file."""

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import TypeVar

from broker.adapters.sqlite.connection import SqliteConnection
from broker.adapters.sqlite.event_entries import EventEntries
from broker.adapters.sqlite.event_group import SqliteEventGroup
from broker.domain.events.log import Deletion, Delivery, Entry, Lag, Member, Retention, owner_of, topic
from broker.domain.events.positions import EPOCH, milliseconds_of, tidy
from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Notice, NoticeKind

MICROSECOND = timedelta(microseconds=1)


Answer = TypeVar("Answer")


class SqliteEventLog:
    """Keep events in the store's file; it lives as long as the connection."""

    def __init__(self, connection: SqliteConnection, clock: Clock) -> None:
        self._connection = connection
        self._database = connection.database
        self._entries = EventEntries(connection.database)
        self._clock = clock

    async def append(
        self, event: Entry, *, key: str, once_in: timedelta, keep: Retention, notify: Sequence[str]
    ) -> str:
        """See `EventLog.append`."""

        def write() -> str:
            now = self._now()
            if not self._entries.remember(event.app, key, now, now + once_in // MICROSECOND):
                return ""
            position = self._entries.append(event, now)
            self._entries.trim(event.app, keep, self._clock.now())
            for name in notify:
                self._connection.publish(Notice(NoticeKind.APPENDED, name, milliseconds_of(position)))
            return position

        return await self._connection.run(write)

    async def open_group(self, app: str, group: str, *, most: int) -> bool:
        """See `EventGroups.open_group`."""

        def open_it() -> bool:
            rows = self._database.execute("SELECT name FROM event_groups WHERE app = ?", (app,))
            names = [name for (name,) in rows]
            if group in names:
                return True
            if sum(owner_of(name) == owner_of(group) for name in names) >= most:
                return False
            self._add_group(app, group)
            return True

        return await self._connection.run(open_it)

    async def claim(self, member: Member) -> list[Delivery[Entry]]:
        """See `EventLog.claim`. Runs bounded transactions until one finds events or no work is left."""

        def claim() -> tuple[list[Delivery[Entry]], bool]:
            now = self._now()
            self._add_group(member.app, member.group)
            [group] = self._groups(member.app, member.group)
            alive_until = now + member.alive_for // MICROSECOND
            claimed = group.claim(member, alive_until, member.ack_timeout // MICROSECOND)
            if group.has_freed():
                self._publish_available(member.app)
            return claimed, group.unfinished

        claimed, unfinished = await self._connection.run(claim)
        while unfinished and not claimed:
            claimed, unfinished = await self._connection.run(claim)
        return claimed

    async def acknowledge(self, app: str, group: str, positions: Sequence[str]) -> int:
        """See `EventGroups.acknowledge`."""

        def handle(known: SqliteEventGroup) -> int:
            count, available = known.acknowledge(map(tidy, positions))
            if available:
                self._publish_available(app)
            return count

        return await self._in_group(app, group, handle, 0)

    async def give_up(self, app: str, group: str, positions: Sequence[str]) -> int:
        """See `EventGroups.give_up`."""

        def bury(known: SqliteEventGroup) -> int:
            count = known.give_up(map(tidy, positions))
            if known.has_freed():
                self._publish_available(app)
            return count

        return await self._in_group(app, group, bury, 0)

    async def release(
        self,
        app: str,
        group: str,
        member: str,
        *,
        counts_as_attempt: bool = True,
        unseen: Collection[str] = (),
    ) -> None:
        """See `EventGroups.release`."""

        def free(known: SqliteEventGroup) -> None:
            held = known.release(member, counts_as_attempt=counts_as_attempt, unseen=set(map(tidy, unseen)))
            if held or known.has_freed():
                self._publish_available(app)

        await self._in_group(app, group, free, None)

    async def rewind(self, app: str, group: str, position: str) -> None:
        """See `EventGroups.rewind`."""

        def begin_anew() -> None:
            find = "SELECT id, used FROM event_groups WHERE app = ? AND name = ?"
            known = self._database.execute(find, (app, group)).fetchone()
            if known:
                self._forget(known[0])
            used = known[1] if known else self._now()
            start, number = self._entries.before(app, tidy(position))
            add = "INSERT INTO event_groups (app, name, place, number, used) VALUES (?, ?, ?, ?, ?)"
            self._database.execute(add, (app, group, start, number, used))
            self._publish_available(app)

        await self._connection.run(begin_anew)

    async def read(self, app: str, after: str, limit: int) -> list[Entry]:
        """See `EventLog.read`."""
        query = (
            "SELECT app, corp_id, event_type, CAST(payload AS BLOB), place FROM events"
            " WHERE app = ? AND place > ? ORDER BY place LIMIT ?"
        )
        values = (app, tidy(after), limit)
        rows = await self._connection.run(lambda: self._database.execute(query, values).fetchall())
        return [Entry(*row) for row in rows]

    async def dead(self, app: str, group: str, after: str, limit: int) -> list[Entry]:
        """See `EventLog.dead`."""
        query = (
            "SELECT e.app, e.corp_id, e.event_type, CAST(e.payload AS BLOB), e.place FROM event_groups g"
            " JOIN event_work w ON w.group_id = g.id AND w.state = 'dead' AND w.place > ?"
            " JOIN events e ON e.app = g.app AND e.place = w.place"
            " WHERE g.app = ? AND g.name = ? ORDER BY w.place LIMIT ?"
        )
        values = (tidy(after), app, group, limit)
        rows = await self._connection.run(lambda: self._database.execute(query, values).fetchall())
        return [Entry(*row) for row in rows]

    async def retry(self, app: str, group: str, positions: Sequence[str]) -> int:
        """See `EventGroups.retry`."""

        def free(known: SqliteEventGroup) -> int:
            count = known.retry(map(tidy, positions))
            if count or known.has_freed():
                self._publish_available(app)
            return count

        return await self._in_group(app, group, free, 0)

    async def lags(self, app: str) -> list[Lag]:
        """See `EventGroups.lags`."""

        def look() -> list[Lag]:
            _, newest = self._entries.newest(app)
            lags = []
            for group in self._groups(app):
                lags.append(group.lag(newest))
                if group.has_freed():
                    self._publish_available(app)
            return lags

        return await self._connection.run(look)

    async def delete_group(self, app: str, group: str) -> Deletion:
        """See `EventGroups.delete_group`."""

        def delete(known: SqliteEventGroup) -> Deletion:
            if known.has_freed():
                self._publish_available(app)
            if known.has_members():
                return Deletion.IN_USE
            self._forget(known.id)
            return Deletion.DELETED

        return await self._in_group(app, group, delete, Deletion.UNKNOWN)

    async def trim(self, app: str, keep: Retention) -> None:
        """See `EventGroups.trim`."""
        await self._connection.run(lambda: self._entries.trim(app, keep, self._clock.now()))

    async def forget_groups(self, app: str, unused_for: timedelta) -> None:
        """See `EventGroups.forget_groups`."""

        def forget() -> None:
            last = self._now() - unused_for // MICROSECOND
            unused = "SELECT id FROM event_groups WHERE app = ? AND used <= ?"
            for (group_id,) in self._database.execute(unused, (app, last)).fetchall():
                self._forget(group_id)

        await self._connection.run(forget)

    async def _in_group(
        self, app: str, name: str, work: Callable[[SqliteEventGroup], Answer], otherwise: Answer
    ) -> Answer:
        """Do the work in one transaction, if the group is known."""

        def do() -> Answer:
            groups = self._groups(app, name)
            return work(groups[0]) if groups else otherwise

        return await self._connection.run(do)

    def _add_group(self, app: str, name: str) -> None:
        """Add the group if it is new, and note that it is used now."""
        add = (
            "INSERT INTO event_groups (app, name, place, number, used) VALUES (?1, ?2, '', 0, ?3)"
            " ON CONFLICT (app, name) DO UPDATE SET used = ?3"
        )
        self._database.execute(add, (app, name, self._now()))

    def _groups(self, app: str, name: str | None = None) -> list[SqliteEventGroup]:
        """Return the groups of an app, or the one of that name, with their deadlines checked."""
        query = "SELECT id, name, place, number FROM event_groups WHERE app = ?1 AND name = ifnull(?2, name)"
        now = self._now()
        rows = self._database.execute(query + " ORDER BY name", (app, name)).fetchall()
        groups = [SqliteEventGroup(self._database, app, row, now) for row in rows]
        for group in groups:
            group.check_deadlines()
        return groups

    def _forget(self, group_id: int) -> None:
        for table, key in (
            ("work", "group_id"),
            ("corps", "group_id"),
            ("members", "group_id"),
            ("groups", "id"),
        ):
            self._database.execute(f"DELETE FROM event_{table} WHERE {key} = ?", (group_id,))  # noqa: S608

    def _now(self) -> int:
        return (self._clock.now() - EPOCH) // MICROSECOND

    def _publish_available(self, app: str) -> None:
        self._connection.publish(Notice(NoticeKind.AVAILABLE, topic(app)))
