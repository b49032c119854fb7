"""The entries of the event logs: their order, the recently seen keys, and retention."""

from datetime import datetime

from broker.adapters.sqlite.statements import Statements
from broker.domain.events.log import Entry, Retention
from broker.domain.events.positions import next_position, position_at


class EventEntries(Statements):
    """The logs of all apps, within one transaction. Times are in microseconds."""

    def append(self, entry: Entry, now: int) -> str:
        """Add the entry, and return its position."""
        newest, number = self.newest(entry.app)
        position, number = next_position(newest, now // 1000), number + 1
        values = (entry.app, position, number, entry.corp_id, entry.event_type, entry.payload)
        self._do("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", *values)
        self._do("INSERT OR REPLACE INTO event_logs VALUES (?, ?, ?)", entry.app, position, number)
        return position

    def remember(self, app: str, key: str, now: int, ends: int) -> bool:
        """Remember the key; return False if it is remembered already."""
        self._do("DELETE FROM event_keys WHERE ends <= ?", now)
        return self._do("INSERT OR IGNORE INTO event_keys VALUES (?, ?, ?)", app, key, ends) == 1

    def newest(self, app: str) -> tuple[str, int]:
        """Return position and number of the newest entry ever appended."""
        return self._row("SELECT place, number FROM event_logs WHERE app = ?", app) or ("", 0)

    def before(self, app: str, position: str) -> tuple[str, int]:
        """Return the entry before the first that is at or after a position; the newest, if there is none."""
        at = "SELECT place, number FROM events WHERE app = ? AND place >= ? ORDER BY place LIMIT 1"
        first = self._row(at, app, position)
        if not first:
            return self.newest(app)
        before = "SELECT place FROM events WHERE app = ? AND place < ? ORDER BY place DESC LIMIT 1"
        [start] = self._row(before, app, first[0]) or [""]
        return start, first[1] - 1

    def trim(self, app: str, keep: Retention, now: datetime) -> None:
        """Remove entries that are too old or too many; numbers have no gaps: the oldest gives the count."""
        oldest = "SELECT place, number FROM events WHERE app = ? ORDER BY place LIMIT 1"
        first = self._row(oldest, app)
        if not first:
            return
        _, newest = self.newest(app)
        floor = position_at(now - keep.age)
        surplus = newest - first[1] + 1 - keep.count
        if surplus > 0:
            floor = max(floor, self._row(f"{oldest} OFFSET ?", app, surplus)[0])
        self._do("DELETE FROM events WHERE app = ? AND place < ?", app, floor)
