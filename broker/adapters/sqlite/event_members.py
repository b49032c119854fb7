"""The members of one group: what they ask for, and until when. Times and durations are in microseconds."""

import sqlite3

from broker.adapters.sqlite.statements import Row, Statements
from broker.domain.events.log import Member


class EventMembers(Statements):
    """The members of one group."""

    def __init__(self, database: sqlite3.Connection, group_id: int) -> None:
        super().__init__(database)
        self._id = group_id

    def join(self, member: Member, alive_until: int, ack_timeout: int) -> None:
        """Add the member, or update what it asks for."""
        self._do(
            "INSERT INTO event_members (group_id, name, alive_until, ack_timeout, max_tries, room)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (group_id, name) DO UPDATE"
            " SET alive_until = ?3, ack_timeout = ?4, max_tries = ?5, room = ?6",
            *(self._id, member.name, alive_until, ack_timeout, member.max_attempts, member.max_in_flight),
        )

    def remove(self, name: str) -> None:
        """Forget the member."""
        self._do("DELETE FROM event_members WHERE group_id = ? AND name = ?", self._id, name)

    def count(self) -> int:
        """Return how many there are."""
        return int(self._row("SELECT count(*) FROM event_members WHERE group_id = ?", self._id)[0])

    def due(self, now: int) -> list[Row]:
        """Return the members past a deadline: name, end of life, and when it loses what it holds."""
        query = (
            "SELECT name, alive_until, loses FROM event_members"
            " WHERE group_id = ?1 AND (alive_until <= ?2 OR loses <= ?2)"
        )
        return self._rows(query, self._id, now)

    def max_attempts(self, name: str) -> int:
        """Return after how many failed attempts an entry that it holds becomes dead."""
        query = "SELECT max_tries FROM event_members WHERE group_id = ? AND name = ?"
        return int(self._row(query, self._id, name)[0])

    def ack_timeout_and_room(self, name: str) -> Row:
        """Return how long it may hold entries without an acknowledgement, and how many."""
        query = "SELECT ack_timeout, room FROM event_members WHERE group_id = ? AND name = ?"
        return self._row(query, self._id, name)

    def loses_at(self, name: str, moment: int | None) -> None:
        """Note when it loses what it holds; None while it holds nothing."""
        change = "UPDATE event_members SET loses = ? WHERE group_id = ? AND name = ?"
        self._do(change, moment, self._id, name)

    def none_loses_without_holding(self) -> None:
        """Clear that time for members that hold nothing after work was dropped."""
        self._do(
            "UPDATE event_members SET loses = NULL WHERE group_id = ?1 AND NOT EXISTS"
            " (SELECT 1 FROM event_work WHERE group_id = ?1 AND holder = event_members.name)",
            self._id,
        )
