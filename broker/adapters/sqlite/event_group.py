"""What one group has done with the embedded event log: the work of one transaction."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from broker.domain.event_log import Delivery, Entry, Member
from broker.domain.event_positions import LAST

WORK = 500
"""How many entries one transaction looks at: others use the same thread."""

Row = tuple[Any, ...]


class SqliteEventGroup:
    """One group; made for a transaction, and left with it. Moments and spans are in microseconds."""

    def __init__(self, database: sqlite3.Connection, app: str, group: Row, now: int) -> None:
        self._database = database
        self._app = app
        self._id, self.name, self._position, self._number = group
        self._now = now
        self._late: set[str] = set()
        self.freed = False
        """Whether a corp that has something waiting lost its owner."""
        self.unfinished = False
        """Whether there is more to look at than was looked at."""
        oldest = self._row("SELECT place, number FROM events WHERE app = ? ORDER BY place LIMIT 1", app)
        self._floor, self._floor_number = oldest or (LAST, 0)
        self._drop_what_is_not_kept()

    def look_at_the_clock(self) -> None:
        """Free what was held for too long (promises 5 and 6): what came first counts."""
        due = self._rows(
            "SELECT name, alive_until, loses FROM event_members"
            " WHERE group_id = ?1 AND (alive_until <= ?2 OR loses <= ?2)",
            self._id,
            self._now,
        )
        for name, alive_until, loses in due:
            if loses is not None and loses < alive_until:
                self._lose(name, counts_as_attempt=True)
                self._late.add(name)
            if alive_until <= self._now:
                self._lose(name, counts_as_attempt=False)
                self._do("DELETE FROM event_members WHERE group_id = ? AND name = ?", self._id, name)

    def claim(self, member: Member, alive_until: int, ack_timeout: int) -> list[Delivery]:
        """Hand out what waits, then what nobody has looked at, as far as the member has room."""
        terms = (alive_until, ack_timeout, member.max_attempts, member.max_in_flight)
        self._do(
            "INSERT INTO event_members (group_id, name, alive_until, ack_timeout, max_tries, room)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (group_id, name) DO UPDATE"
            " SET alive_until = ?3, ack_timeout = ?4, max_tries = ?5, room = ?6",
            *(self._id, member.name, *terms),
        )
        if member.name in self._late:
            self.unfinished = False
            return []
        held = self._held_count(member.name)
        claimed = self._claim_waiting(member, member.max_in_flight - held)
        claimed += self._claim_new(member, member.max_in_flight - held - len(claimed))
        if claimed and not held:
            self._loses_at(member.name, self._now + ack_timeout)
        return claimed

    def acknowledge(self, positions: Iterable[str]) -> tuple[int, bool]:
        """Return how many were open or dead, and whether somebody may have something by that."""
        count, handled_by = 0, Counter[str]()
        for position in positions:
            work = self._row(
                "SELECT corp_id, state, holder FROM event_work WHERE group_id = ? AND place = ?",
                *(self._id, position),
            )
            if work and work[1] != "skip":
                self._settle(work[0], position)
                handled_by.update([work[2]] if work[2] else [])
                count += 1
            elif not work and position > self._position:
                entry = self._row(
                    "SELECT corp_id FROM events WHERE app = ? AND place = ?", self._app, position
                )
                if entry:
                    self._add_work(position, entry[0], "skip")
                    count += 1
        through = [self._goes_on(member, handled) for member, handled in handled_by.items()]
        return count, any(through) or self.has_freed()

    def give_up(self, positions: Iterable[str]) -> int:
        """Make what waits or is held dead; return how many did."""
        count = 0
        for position in positions:
            work = self._row(
                "SELECT corp_id FROM event_work"
                " WHERE group_id = ? AND place = ? AND state IN ('waiting', 'held')",
                *(self._id, position),
            )
            if work:
                self._change_work(position, "dead", attempts=0)
                self._sum_up(work[0])
                count += 1
        return count

    def release(self, name: str, *, counts_as_attempt: bool, unseen: Collection[str]) -> bool:
        """Free what a member holds, and forget it; tell whether it held something."""
        held = self._held_count(name)
        unread = "UPDATE event_work SET losses = losses - 1 WHERE group_id = ? AND place = ? AND holder = ?"
        for position in unseen:
            self._do(unread, self._id, position, name)
        self._lose(name, counts_as_attempt=counts_as_attempt)
        self._do("DELETE FROM event_members WHERE group_id = ? AND name = ?", self._id, name)
        return held > 0

    def retry(self, positions: Iterable[str]) -> int:
        """Let dead entries wait again; return how many were dead."""
        count = 0
        for position in positions:
            work = self._row(
                "SELECT corp_id FROM event_work WHERE group_id = ? AND place = ? AND state = 'dead'",
                *(self._id, position),
            )
            if work:
                self._change_work(position, "waiting", attempts=0)
                self._sum_up(work[0])
                count += 1
        return count

    def lag(self, newest: int) -> tuple[int, int, str]:
        """Return how many are open, how many dead, and the place of the oldest open one ("" = none)."""
        count = "SELECT count(*) FROM event_work WHERE group_id = ? AND place >= ? AND state = ?"
        waiting, held, dead, skipped = (
            self._row(count, self._id, self._floor, state)[0] for state in ("waiting", "held", "dead", "skip")
        )
        unseen = newest - max(self._number, self._floor_number - 1) if self._floor != LAST else 0
        looked_at = self._row(
            "SELECT min(place) FROM event_work"
            " WHERE group_id = ? AND place >= ? AND state IN ('waiting', 'held')",
            *(self._id, self._floor),
        )
        new = self._row(
            "SELECT place FROM events WHERE app = ?1 AND place > ?2 AND NOT EXISTS"
            " (SELECT 1 FROM event_work WHERE group_id = ?3 AND event_work.place = events.place)"
            " ORDER BY place LIMIT 1",
            *(self._app, self._position, self._id),
        )
        oldest = looked_at[0] or (new[0] if new else "")
        return waiting + held + max(0, unseen - skipped), dead, oldest

    def has_freed(self) -> bool:
        """Tell whether this transaction let go of something that anybody may have now."""
        return self.freed and bool(self._first_ready(""))

    def _drop_what_is_not_kept(self) -> None:
        """Drop it from the group's work (promise 10)."""
        gone = self._rows(
            "SELECT place, corp_id FROM event_work WHERE group_id = ? AND place < ? LIMIT ?",
            *(self._id, self._floor, WORK),
        )
        for position, corp_id in gone:
            self._settle(corp_id, position)
        self.unfinished = len(gone) == WORK
        if gone:
            self._do(
                "UPDATE event_members SET loses = NULL WHERE group_id = ?1 AND NOT EXISTS"
                " (SELECT 1 FROM event_work WHERE group_id = ?1 AND holder = event_members.name)",
                self._id,
            )

    def _lose(self, name: str, *, counts_as_attempt: bool) -> None:
        """Free what a member holds; the oldest of it spends a try, and may die of it (promise 7)."""
        held = self._rows(
            "SELECT place, corp_id, tries FROM event_work WHERE group_id = ? AND holder = ? ORDER BY place",
            *(self._id, name),
        )
        self._do(
            "UPDATE event_work SET state = 'waiting', holder = NULL, losses = losses + 1"
            " WHERE group_id = ? AND holder = ?",
            *(self._id, name),
        )
        self._loses_at(name, None)
        kept = [work for work in held if work[0] >= self._floor]
        if kept and counts_as_attempt:
            terms = "SELECT max_tries FROM event_members WHERE group_id = ? AND name = ?"
            (max_attempts,) = self._row(terms, self._id, name)
            position, _, attempts = kept[0]
            state = "dead" if attempts + 1 >= max_attempts else "waiting"
            self._change_work(position, state, attempts=attempts + 1)
        for corp_id in {corp_id for _, corp_id, _ in held}:
            self._sum_up(corp_id)

    def _claim_waiting(self, member: Member, max_in_flight: int) -> list[Delivery]:
        """Take what waits; the corp with the oldest of it comes first."""
        claimed: list[Delivery] = []
        looked = 0
        while len(claimed) < max_in_flight and looked < WORK:
            ready = min(filter(None, map(self._first_ready, (member.name, ""))), default=())
            if not ready:
                return claimed
            _, corp_id = ready
            waiting = self._rows(
                "SELECT w.place, w.tries, w.losses, e.event_type, e.payload FROM event_work w"
                " LEFT JOIN events e ON e.app = ? AND e.place = w.place"
                " WHERE w.group_id = ? AND w.corp_id = ? AND w.state = 'waiting' ORDER BY w.place LIMIT ?",
                *(self._app, self._id, corp_id, min(max_in_flight - len(claimed), WORK - looked)),
            )
            for position, attempts, losses, event_type, payload in waiting:
                looked += 1
                if payload is None or not _wants(member, event_type):
                    self._do("DELETE FROM event_work WHERE group_id = ? AND place = ?", self._id, position)
                    continue
                self._change_work(position, "held", holder=member.name, attempts=attempts)
                entry = Entry(self._app, corp_id, event_type, payload, position)
                claimed.append(Delivery(entry, attempts, losses + 1))
            self._sum_up(corp_id)
        self.unfinished = self.unfinished or looked >= WORK
        return claimed

    def _claim_new(self, member: Member, max_in_flight: int) -> list[Delivery]:
        """Look at what nobody has looked at; what belongs to others waits for them."""
        claimed: list[Delivery] = []
        if self.unfinished or max_in_flight <= 0:
            return claimed
        new = self._database.execute(
            "SELECT place, number, corp_id, event_type, payload FROM events"
            " WHERE app = ? AND place > ? ORDER BY place LIMIT ?",
            (self._app, self._position, WORK),
        )
        looked = 0
        for position, number, corp_id, event_type, payload in new:
            looked += 1
            self._position, self._number = position, number
            if self._skips(position) or not _wants(member, event_type):
                continue
            owner, first = self._corp(corp_id)
            if owner in {"", member.name} and not first:
                self._add_work(position, corp_id, "held", member.name)
                claimed.append(Delivery(Entry(self._app, corp_id, event_type, payload, position), 0))
            else:
                self._add_work(position, corp_id, "waiting")
            self._sum_up(corp_id)
            if len(claimed) == max_in_flight:
                break
        new.close()
        self.unfinished = looked == WORK and len(claimed) < max_in_flight
        where = "UPDATE event_groups SET place = ?, number = ? WHERE id = ?"
        self._do(where, self._position, self._number, self._id)
        return claimed

    def _goes_on(self, name: str, handled: int) -> bool:
        """Let the member's time begin anew; tell whether half of its room came free and it may have more.

        Not at each acknowledgement: that would wake everybody thousands of times.
        """
        terms = "SELECT ack_timeout, room FROM event_members WHERE group_id = ? AND name = ?"
        ack_timeout, max_in_flight = self._row(terms, self._id, name)
        held = self._held_count(name)
        self._loses_at(name, self._now + ack_timeout if held else None)
        if not held <= max_in_flight // 2 < held + handled:
            return False
        unseen = "SELECT 1 FROM events WHERE app = ? AND place > ? LIMIT 1"
        return bool(
            self._first_ready(name) or self._first_ready("") or self._row(unseen, self._app, self._position)
        )

    def _settle(self, corp_id: str, position: str) -> None:
        """Forget work that is handled, or not kept any more."""
        self._do("DELETE FROM event_work WHERE group_id = ? AND place = ?", self._id, position)
        self._sum_up(corp_id)

    def _skips(self, position: str) -> bool:
        skip = "DELETE FROM event_work WHERE group_id = ? AND place = ? AND state = 'skip'"
        return self._do(skip, self._id, position) > 0

    def _sum_up(self, corp_id: str) -> None:
        """Bring the sum of a corp's work up to date."""
        waits = "SELECT min(place) FROM event_work WHERE group_id = ? AND corp_id = ? AND state = 'waiting'"
        holds = "SELECT holder FROM event_work WHERE group_id = ? AND corp_id = ? AND state = 'held' LIMIT 1"
        [first] = self._row(waits, self._id, corp_id)
        [holder] = self._row(holds, self._id, corp_id) or [None]
        owner, _ = self._corp(corp_id)
        if first and owner and not holder:
            self.freed = True
        if first or holder:
            corp = (self._id, corp_id, holder or "", first)
            self._do("INSERT OR REPLACE INTO event_corps VALUES (?, ?, ?, ?)", *corp)
        else:
            self._do("DELETE FROM event_corps WHERE group_id = ? AND corp_id = ?", self._id, corp_id)

    def _corp(self, corp_id: str) -> Row:
        corp = "SELECT owner, first FROM event_corps WHERE group_id = ? AND corp_id = ?"
        return self._row(corp, self._id, corp_id) or ("", None)

    def _first_ready(self, owner: str) -> Row:
        """Return place and corp of the oldest that waits for an owner; "" is what anybody may have."""
        ready = "SELECT first, corp_id FROM event_corps WHERE group_id = ? AND owner = ? AND first > ''"
        return self._row(f"{ready} ORDER BY first LIMIT 1", self._id, owner)

    def _held_count(self, name: str) -> int:
        held = "SELECT count(*) FROM event_work WHERE group_id = ? AND holder = ?"
        return int(self._row(held, self._id, name)[0])

    def _loses_at(self, name: str, moment: int | None) -> None:
        change = "UPDATE event_members SET loses = ? WHERE group_id = ? AND name = ?"
        self._do(change, moment, self._id, name)

    def _add_work(self, position: str, corp_id: str, state: str, holder: str | None = None) -> None:
        add = "INSERT INTO event_work (group_id, place, corp_id, state, holder) VALUES (?, ?, ?, ?, ?)"
        self._do(add, self._id, position, corp_id, state, holder)

    def _change_work(self, position: str, state: str, *, attempts: int, holder: str | None = None) -> None:
        change = "UPDATE event_work SET state = ?, holder = ?, tries = ? WHERE group_id = ? AND place = ?"
        self._do(change, state, holder, attempts, self._id, position)

    def _do(self, statement: str, *values: object) -> int:
        return self._database.execute(statement, values).rowcount

    def _row(self, query: str, *values: object) -> Row:
        """Return one row, empty if there is none."""
        return self._database.execute(query, values).fetchone() or ()

    def _rows(self, query: str, *values: object) -> list[Row]:
        return self._database.execute(query, values).fetchall()


def _wants(member: Member, event_type: str) -> bool:
    return not member.event_types or event_type in member.event_types
