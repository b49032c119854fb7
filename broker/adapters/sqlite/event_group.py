"""What one group does with the embedded event log: the work of one transaction."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from broker.adapters.sqlite.event_members import EventMembers
from broker.adapters.sqlite.event_work import WORK, EventWork
from broker.adapters.sqlite.statements import Row, Statements
from broker.domain.events.log import Delivery, Entry, Lag, Member
from broker.domain.events.positions import LAST, milliseconds_of


class SqliteEventGroup(Statements):
    """One group, within one transaction. Times and durations are in microseconds."""

    def __init__(self, database: sqlite3.Connection, app: str, group: Row, now: int) -> None:
        super().__init__(database)
        self._app = app
        self.id, self.name, self._position, self._number = group
        self._id = self.id
        self._now = now
        self._work = EventWork(database, app, self._id)
        self._members = EventMembers(database, self._id)
        self._late: set[str] = set()
        oldest = self._row("SELECT place, number FROM events WHERE app = ? ORDER BY place LIMIT 1", app)
        self._floor, self._floor_number = oldest or (LAST, 0)
        dropped = self._work.drop_before(self._floor)
        if dropped:
            self._members.none_loses_without_holding()
        self.unfinished = dropped == WORK
        """Whether there are entries left that were not looked at."""

    def check_deadlines(self) -> None:
        """Free what was held for too long (promises 5 and 6): whichever deadline came first counts."""
        for name, alive_until, loses in self._members.due(self._now):
            if loses is not None and loses < alive_until:
                self._lose(name, counts_as_attempt=True)
                self._late.add(name)
            if alive_until <= self._now:
                self._lose(name, counts_as_attempt=False)
                self._members.remove(name)

    def claim(self, member: Member, alive_until: int, ack_timeout: int) -> list[Delivery[Entry]]:
        """Hand out waiting entries, then new ones, as far as the member has room."""
        self._members.join(member, alive_until, ack_timeout)
        if member.name in self._late:
            self.unfinished = False
            return []
        held = self._work.held_count(member.name)
        claimed = self._claim_waiting(member, member.max_in_flight - held)
        claimed += self._claim_new(member, member.max_in_flight - held - len(claimed))
        if claimed and not held:
            self._members.loses_at(member.name, self._now + ack_timeout)
        return claimed

    def acknowledge(self, positions: Iterable[str]) -> tuple[int, bool]:
        """Acknowledge entries; return how many were open or dead, and whether a member can now claim more."""
        count, handled_by = 0, Counter[str]()
        for position in positions:
            corp_id, state, holder = self._work.state_of(position) or ("", "", None)
            if state and state != "skip":
                self._work.drop(position)
                self._work.sum_up(corp_id)
                handled_by.update([holder] if holder else [])
                count += 1
            elif not state and position > self._position:
                entry = self._row(
                    "SELECT corp_id FROM events WHERE app = ? AND place = ?", self._app, position
                )
                if entry:
                    self._work.add(position, entry[0], "skip")
                    count += 1
        through = [self._goes_on(member, handled) for member, handled in handled_by.items()]
        return count, any(through) or self.has_freed()

    def give_up(self, positions: Iterable[str]) -> int:
        """Mark waiting or held entries as dead; return how many it was."""
        return sum(self._move(position, {"waiting", "held"}, "dead") for position in positions)

    def retry(self, positions: Iterable[str]) -> int:
        """Make dead entries wait again; return how many were dead."""
        return sum(self._move(position, {"dead"}, "waiting") for position in positions)

    def release(self, name: str, *, counts_as_attempt: bool, unseen: Collection[str]) -> bool:
        """Free what a member holds, and forget it; return whether it held something."""
        held = self._lose(name, counts_as_attempt=counts_as_attempt, unseen=unseen)
        self._members.remove(name)
        return held > 0

    def has_members(self) -> bool:
        """Return whether anybody shares the work."""
        return self._members.count() > 0

    def lag(self, newest: int) -> Lag:
        """Return how far the group is behind the newest entry."""
        waiting, held, dead, skipped = (
            self._work.count_since(self._floor, state) for state in ("waiting", "held", "dead", "skip")
        )
        unseen = newest - max(self._number, self._floor_number - 1) if self._floor != LAST else 0
        new = self._row(
            "SELECT place FROM events WHERE app = ?1 AND place > ?2 AND NOT EXISTS"
            " (SELECT 1 FROM event_work WHERE group_id = ?3 AND event_work.place = events.place)"
            " ORDER BY place LIMIT 1",
            *(self._app, self._position, self._id),
        )
        oldest = self._work.oldest_open(self._floor) or (new[0] if new else "")
        return Lag(
            self._app,
            self.name,
            waiting + held + max(0, unseen - skipped),
            dead,
            datetime.fromtimestamp(milliseconds_of(oldest) / 1000, UTC) if oldest else None,
            oldest,
            self._work.attempts_at(oldest),
            self._members.count(),
        )

    def has_freed(self) -> bool:
        """Return whether this transaction freed an entry that any member may now claim."""
        return self._work.freed and bool(self._work.first_ready(""))

    def _move(self, position: str, states: Collection[str], state: str) -> bool:
        """Change the state if it is one of `states`, and reset the attempts. Return whether it was."""
        corp_id, before, _ = self._work.state_of(position) or ("", "", None)
        if before not in states:
            return False
        self._work.change(position, state, attempts=0)
        self._work.sum_up(corp_id)
        return True

    def _lose(self, name: str, *, counts_as_attempt: bool, unseen: Collection[str] = ()) -> int:
        """Free what a member holds; the oldest entry may become dead (promise 7). Return how many it held."""
        held = self._work.free(name, unseen)
        self._members.loses_at(name, None)
        kept = [work for work in held if work[0] >= self._floor]
        if kept and counts_as_attempt:
            position, _, attempts = kept[0]
            state = "dead" if attempts + 1 >= self._members.max_attempts(name) else "waiting"
            self._work.change(position, state, attempts=attempts + 1)
        for corp_id in {corp_id for _, corp_id, _ in held}:
            self._work.sum_up(corp_id)
        return len(held)

    def _claim_waiting(self, member: Member, room: int) -> list[Delivery[Entry]]:
        """Claim waiting entries; the corp with the oldest one comes first."""
        claimed: list[Delivery[Entry]] = []
        looked = 0
        while len(claimed) < room and looked < WORK:
            ready = min(filter(None, map(self._work.first_ready, (member.name, ""))), default=())
            if not ready:
                return claimed
            _, corp_id = ready
            for position, attempts, losses, event_type, payload in self._work.waiting_of(
                corp_id, min(room - len(claimed), WORK - looked)
            ):
                looked += 1
                if payload is None or not _wants(member, event_type):
                    self._work.drop(position)
                    continue
                self._work.change(position, "held", holder=member.name, attempts=attempts)
                entry = Entry(self._app, corp_id, event_type, payload, position)
                claimed.append(Delivery(entry, attempts, losses + 1))
            self._work.sum_up(corp_id)
        self.unfinished = self.unfinished or looked >= WORK
        return claimed

    def _claim_new(self, member: Member, room: int) -> list[Delivery[Entry]]:
        """Look at new entries and claim them; those of a corp that another member owns wait."""
        claimed: list[Delivery[Entry]] = []
        if self.unfinished or room <= 0:
            return claimed
        new = self._database.execute(
            "SELECT place, number, corp_id, event_type, CAST(payload AS BLOB) FROM events"
            " WHERE app = ? AND place > ? ORDER BY place LIMIT ?",
            (self._app, self._position, WORK),
        )
        looked = 0
        for position, number, corp_id, event_type, payload in new:
            looked += 1
            self._position, self._number = position, number
            if self._work.drop_skip(position) or not _wants(member, event_type):
                continue
            owner, first = self._work.owner_and_first(corp_id)
            if owner in {"", member.name} and not first:
                self._work.add(position, corp_id, "held", member.name)
                claimed.append(Delivery(Entry(self._app, corp_id, event_type, payload, position), 0))
            else:
                self._work.add(position, corp_id, "waiting")
            if len(claimed) == room:
                break
        new.close()
        self.unfinished = looked == WORK and len(claimed) < room
        where = "UPDATE event_groups SET place = ?, number = ? WHERE id = ?"
        self._do(where, self._position, self._number, self._id)
        return claimed

    def _goes_on(self, name: str, handled: int) -> bool:
        """Restart the member's deadline; return whether half of its room came free and there is more for it.

        Not True at each acknowledgement: that would wake all members thousands of times.
        """
        ack_timeout, room = self._members.ack_timeout_and_room(name)
        held = self._work.held_count(name)
        self._members.loses_at(name, self._now + ack_timeout if held else None)
        if not held <= room // 2 < held + handled:
            return False
        unseen = "SELECT 1 FROM events WHERE app = ? AND place > ? LIMIT 1"
        ready = self._work.first_ready(name) or self._work.first_ready("")
        return bool(ready or self._row(unseen, self._app, self._position))


def _wants(member: Member, event_type: str) -> bool:
    return not member.event_types or event_type in member.event_types
