"""The entries that one group has looked at and not handled, and a summary for each corp."""

import sqlite3
from collections.abc import Collection

from broker.adapters.sqlite.statements import Row, Statements

WORK = 500
"""How many entries one transaction looks at: others use the same thread."""


class EventWork(Statements):
    """The work of one group. Every change of it must update the summary of its corp."""

    def __init__(self, database: sqlite3.Connection, app: str, group_id: int) -> None:
        super().__init__(database)
        self._app = app
        self._id = group_id
        self.freed = False
        """Whether a corp with waiting entries lost its owner."""

    def state_of(self, position: str) -> Row:
        """Return corp, state and holder."""
        query = "SELECT corp_id, state, holder FROM event_work WHERE group_id = ? AND place = ?"
        return self._row(query, self._id, position)

    def waiting_of(self, corp_id: str, limit: int) -> list[Row]:
        """Return position, attempts, losses, type and payload; the last two are None if it is not kept."""
        return self._rows(
            "SELECT w.place, w.tries, w.losses, e.event_type, CAST(e.payload AS BLOB) FROM event_work w"
            " LEFT JOIN events e ON e.app = ? AND e.place = w.place"
            " WHERE w.group_id = ? AND w.corp_id = ? AND w.state = 'waiting' ORDER BY w.place LIMIT ?",
            *(self._app, self._id, corp_id, limit),
        )

    def owner_and_first(self, corp_id: str) -> Row:
        """Return who holds entries of a corp ("" = nobody), and the position of the first that waits."""
        query = "SELECT owner, first FROM event_corps WHERE group_id = ? AND corp_id = ?"
        return self._row(query, self._id, corp_id) or ("", None)

    def first_ready(self, owner: str) -> Row:
        """Return position and corp of the oldest entry that waits for an owner ("" = for any member)."""
        ready = "SELECT first, corp_id FROM event_corps WHERE group_id = ? AND owner = ? AND first > ''"
        return self._row(f"{ready} ORDER BY first LIMIT 1", self._id, owner)

    def held_count(self, member: str) -> int:
        """Return how many entries a member holds."""
        held = "SELECT count(*) FROM event_work WHERE group_id = ? AND holder = ?"
        return int(self._row(held, self._id, member)[0])

    def count_since(self, floor: str, state: str) -> int:
        """Return how many kept entries are in that state."""
        query = "SELECT count(*) FROM event_work WHERE group_id = ? AND place >= ? AND state = ?"
        return int(self._row(query, self._id, floor, state)[0])

    def oldest_open(self, floor: str) -> str:
        """Return the position of the oldest waiting or held entry; "" if there is none."""
        query = (
            "SELECT min(place) FROM event_work"
            " WHERE group_id = ? AND place >= ? AND state IN ('waiting', 'held')"
        )
        return self._row(query, self._id, floor)[0] or ""

    def attempts_at(self, position: str) -> int:
        """Return how many attempts at an entry failed."""
        query = "SELECT tries FROM event_work WHERE group_id = ? AND place = ?"
        found = self._row(query, self._id, position)
        return int(found[0]) if found else 0

    def add(self, position: str, corp_id: str, state: str, holder: str | None = None) -> None:
        """Add an entry that the group has looked at, or one acknowledged before that ("skip")."""
        statement = "INSERT INTO event_work (group_id, place, corp_id, state, holder) VALUES (?, ?, ?, ?, ?)"
        self._do(statement, self._id, position, corp_id, state, holder)
        if state != "skip":
            self.sum_up(corp_id)

    def change(self, position: str, state: str, *, attempts: int, holder: str | None = None) -> None:
        """Change an entry's state; the caller calls `sum_up`."""
        statement = "UPDATE event_work SET state = ?, holder = ?, tries = ? WHERE group_id = ? AND place = ?"
        self._do(statement, state, holder, attempts, self._id, position)

    def drop(self, position: str) -> None:
        """Forget a handled entry; the caller calls `sum_up`."""
        self._do("DELETE FROM event_work WHERE group_id = ? AND place = ?", self._id, position)

    def drop_skip(self, position: str) -> bool:
        """Forget that an entry was acknowledged before the group looked at it; return whether it was."""
        statement = "DELETE FROM event_work WHERE group_id = ? AND place = ? AND state = 'skip'"
        return self._do(statement, self._id, position) > 0

    def drop_before(self, floor: str) -> int:
        """Forget entries that the log no longer keeps (promise 10), a bounded number; return how many."""
        query = "SELECT place, corp_id FROM event_work WHERE group_id = ? AND place < ? LIMIT ?"
        gone = self._rows(query, self._id, floor, WORK)
        for position, corp_id in gone:
            self.drop(position)
            self.sum_up(corp_id)
        return len(gone)

    def free(self, member: str, unseen: Collection[str] = ()) -> list[Row]:
        """Make what a member holds wait again; return its positions, corps and attempts, in order.

        Entries that its subscriber did not see were not handed out (promise 11).
        """
        held = self._rows(
            "SELECT place, corp_id, tries FROM event_work WHERE group_id = ? AND holder = ? ORDER BY place",
            *(self._id, member),
        )
        count = "UPDATE event_work SET losses = losses + 1 WHERE group_id = ? AND place = ?"
        for position, _, _ in held:
            if position not in unseen:
                self._do(count, self._id, position)
        self._do(
            "UPDATE event_work SET state = 'waiting', holder = NULL WHERE group_id = ? AND holder = ?",
            *(self._id, member),
        )
        return held

    def sum_up(self, corp_id: str) -> None:
        """Update the summary of a corp's work."""
        waits = "SELECT min(place) FROM event_work WHERE group_id = ? AND corp_id = ? AND state = 'waiting'"
        holds = "SELECT holder FROM event_work WHERE group_id = ? AND corp_id = ? AND state = 'held' LIMIT 1"
        [first] = self._row(waits, self._id, corp_id)
        [holder] = self._row(holds, self._id, corp_id) or [None]
        owner, _ = self.owner_and_first(corp_id)
        if first and owner and not holder:
            self.freed = True
        if first or holder:
            corp = (self._id, corp_id, holder or "", first)
            self._do("INSERT OR REPLACE INTO event_corps VALUES (?, ?, ?, ?)", *corp)
        else:
            self._do("DELETE FROM event_corps WHERE group_id = ? AND corp_id = ?", self._id, corp_id)
