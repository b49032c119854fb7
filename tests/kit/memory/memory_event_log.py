"""A log of entries, or of events, in memory, written for clarity: each promise is a line or two.

Nothing is optimised. It passes the same contract suite as the real ones; brokers may share one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from broker.domain.events.event import Event
from broker.domain.events.log import Deletion, Delivery, Entry, Lag, Member, Retention, owner_of, topic
from broker.domain.events.positions import milliseconds_of, next_position, tidy
from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Notice, NoticeKind
from tests.kit.memory.memory_store import MemoryStore

Item = TypeVar("Item", Entry, Event)


@dataclass
class Seat:
    """An active member."""

    member: Member
    alive_until: datetime
    since: datetime
    """When it last acknowledged, or last got an entry while it held none."""


@dataclass
class Group:
    """The progress of one group."""

    start: str
    used: datetime
    handled: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    attempts: dict[str, int] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    """By position: how often it was handed out without being handled."""
    holders: dict[str, str] = field(default_factory=dict)
    """By position: the member that holds it."""
    seats: dict[str, Seat] = field(default_factory=dict)
    looked: str = ""
    """The last position that a claim has examined: no member knows that an entry up to there is free."""

    def held_by(self, name: str) -> list[str]:
        return sorted(position for position, holder in self.holders.items() if holder == name)

    def lose(self, name: str, *, spend: bool, unseen: Collection[str] = ()) -> None:
        """Free what a member holds; `spend` counts an attempt for its oldest entry (promise 7)."""
        held = self.held_by(name)
        for position in held:
            del self.holders[position]
            self.losses[position] = self.losses.get(position, 0) + (position not in unseen)
        if held and spend:
            self.attempts[held[0]] = self.attempts.get(held[0], 0) + 1
            if self.attempts[held[0]] >= self.seats[name].member.max_attempts:
                self.dead.add(held[0])

    def look_at_the_clock(self, now: datetime) -> set[str]:
        """Free what was held for too long (promises 5 and 6); return the members that were too late."""
        late = set()
        for name, seat in list(self.seats.items()):
            ends = seat.since + seat.member.ack_timeout if self.held_by(name) else None
            if ends and ends <= now and ends < seat.alive_until:
                self.lose(name, spend=True)
                late.add(name)
            if seat.alive_until <= now:
                self.lose(name, spend=False)
                del self.seats[name]
        return late

    def drop(self, gone: set[str]) -> None:
        """Forget positions that are no longer kept (promise 10)."""
        self.handled -= gone
        self.dead -= gone
        for kept in (self.attempts, self.losses, self.holders):
            for position in gone & kept.keys():
                del kept[position]


@dataclass
class Log(Generic[Item]):
    """The events of one app."""

    entries: list[Item] = field(default_factory=list)
    newest: str = ""
    seen: dict[str, datetime] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)

    def trim(self, keep: Retention, now: datetime) -> None:
        """Remove what is not kept."""
        oldest = milliseconds(now - keep.age)
        kept = [entry for entry in self.entries[-keep.count :] if milliseconds_of(entry.position) >= oldest]
        gone = {entry.position for entry in self.entries} - {entry.position for entry in kept}
        self.entries = kept
        for group in self.groups.values():
            group.drop(gone)

    def open(self, group: Group) -> list[Item]:
        """Return the entries that the group has not handled, in order."""
        done = group.handled | group.dead
        return [
            entry for entry in self.entries if entry.position >= group.start and entry.position not in done
        ]

    def free_for(self, group: Group, name: str | None) -> list[Item]:
        """Return the unheld entries that a member may have (promise 3); None stands for a new member."""
        held = group.holders
        owners = {entry.corp_id: held[entry.position] for entry in self.entries if entry.position in held}
        return [
            entry
            for entry in self.open(group)
            if entry.position not in held and owners.get(entry.corp_id) in {None, name}
        ]

    def waiting(self, group: Group) -> set[str]:
        """Return the positions of examined entries that any member may have."""
        return {entry.position for entry in self.free_for(group, None) if entry.position <= group.looked}


@dataclass
class SharedLogs(Generic[Item]):
    """The data that all connections share."""

    clock: Clock
    logs: dict[str, Log[Item]] = field(default_factory=dict)

    def lose_data(self) -> None:
        self.logs.clear()


class MemoryEventLog(Generic[Item]):
    """One broker's view; it is unavailable, and sends notices, together with the broker's store."""

    def __init__(self, store: MemoryStore, shared: SharedLogs[Item]) -> None:
        self._store = store
        self._shared = shared

    async def append(
        self, event: Item, *, key: str, once_in: timedelta, keep: Retention, notify: Sequence[str]
    ) -> str:
        log, now = await self._log(event.app)
        if log.seen.get(key, now) > now:
            return ""
        log.seen[key] = now + once_in
        log.newest = next_position(log.newest, milliseconds(now))
        log.entries.append(replace(event, position=log.newest))
        log.trim(keep, now)
        for name in notify:
            self._store._publish(Notice(NoticeKind.APPENDED, name, milliseconds_of(log.newest)))
        return log.newest

    async def open_group(self, app: str, group: str, *, most: int) -> bool:
        log, now = await self._log(app)
        others = [name for name in log.groups if owner_of(name) == owner_of(group)]
        if group not in log.groups and len(others) >= most:
            return False
        log.groups.setdefault(group, Group("", now))
        return True

    async def claim(self, member: Member) -> list[Delivery[Item]]:
        log, now = await self._log(member.app)
        group = log.groups.setdefault(member.group, Group("", now))
        group.used = now
        waited = log.waiting(group)
        late = group.look_at_the_clock(now)
        freed = log.waiting(group) - waited
        seat = group.seats.setdefault(member.name, Seat(member, now, now))
        seat.member, seat.alive_until = member, now + member.alive_for
        deliveries = [] if member.name in late else self._hand_out(log, group, seat)
        self._publish_if(member.app, bool(freed & log.waiting(group)))
        return deliveries

    def _hand_out(self, log: Log[Item], group: Group, seat: Seat) -> list[Delivery[Item]]:
        member = seat.member
        deliveries: list[Delivery[Item]] = []
        for entry in log.free_for(group, member.name):
            held = group.held_by(member.name)
            if len(held) >= member.max_in_flight:
                break
            if member.event_types and entry.event_type not in member.event_types:
                group.handled.add(entry.position)
                continue
            if not held:
                seat.since = self._shared.clock.now()
            group.holders[entry.position] = member.name
            counts = (kept.get(entry.position, 0) for kept in (group.attempts, group.losses))
            attempts, losses = counts
            deliveries.append(Delivery(entry, attempts, losses + 1))
            group.looked = max(group.looked, entry.position)
        if len(group.held_by(member.name)) < member.max_in_flight:
            group.looked = log.newest
        return deliveries

    async def acknowledge(self, app: str, group: str, positions: Sequence[str]) -> int:
        log, now, known = await self._group(app, group)
        if not known:
            return 0
        unhandled = {entry.position: entry for entry in log.open(known)} | {
            entry.position: entry for entry in log.entries if entry.position in known.dead
        }
        done = {position for position in map(tidy, positions) if position in unhandled}
        before = {name: len(known.held_by(name)) for name in known.seats}
        for position in done:
            if position in known.holders:
                known.seats[known.holders.pop(position)].since = now
            known.handled.add(position)
            known.dead.discard(position)
            known.attempts.pop(position, None)
            known.losses.pop(position, None)
        corps = {unhandled[position].corp_id for position in done}
        self._publish_if(app, self._lets_go_on(log, known, before, corps))
        return len(done)

    async def give_up(self, app: str, group: str, positions: Sequence[str]) -> int:
        log, _, known = await self._group(app, group)
        if not known:
            return 0
        looked_at = {entry.position for entry in log.open(known) if entry.position <= known.looked}
        given_up = looked_at.intersection(map(tidy, positions))
        waited = log.waiting(known)
        for position in given_up:
            known.holders.pop(position, None)
            known.attempts.pop(position, None)
        known.dead |= given_up
        self._publish_if(app, bool(log.waiting(known) - waited))
        return len(given_up)

    async def release(
        self,
        app: str,
        group: str,
        member: str,
        *,
        counts_as_attempt: bool = True,
        unseen: Collection[str] = (),
    ) -> None:
        _, _, known = await self._group(app, group)
        if known and member in known.seats:
            held = known.held_by(member)
            known.lose(member, spend=counts_as_attempt, unseen=set(map(tidy, unseen)))
            del known.seats[member]
            self._publish_if(app, bool(held))

    async def rewind(self, app: str, group: str, position: str) -> None:
        log, now = await self._log(app)
        used = log.groups[group].used if group in log.groups else now
        start = next((entry.position for entry in log.entries if entry.position >= tidy(position)), None)
        log.groups[group] = Group(start or next_position(log.newest, 0), used)
        self._publish_if(app, True)

    async def read(self, app: str, after: str, limit: int) -> list[Item]:
        log, _ = await self._log(app)
        return [entry for entry in log.entries if entry.position > tidy(after)][:limit]

    async def dead(self, app: str, group: str, after: str, limit: int) -> list[Item]:
        log, _, known = await self._group(app, group)
        dead = known.dead if known else set()
        return [entry for entry in log.entries if entry.position in dead and entry.position > tidy(after)][
            :limit
        ]

    async def retry(self, app: str, group: str, positions: Sequence[str]) -> int:
        _, _, known = await self._group(app, group)
        freed = known.dead.intersection(map(tidy, positions)) if known else set()
        if known and freed:
            known.dead -= freed
            for position in freed:
                known.attempts.pop(position, None)
            self._publish_if(app, True)
        return len(freed)

    async def lags(self, app: str) -> list[Lag]:
        log, now = await self._log(app)
        lags = []
        for name, group in sorted(log.groups.items()):
            self._look_at_the_clock(log, app, group, now)
            positions = [entry.position for entry in log.open(group)]
            oldest = datetime.fromtimestamp(milliseconds_of(positions[0]) / 1000, UTC) if positions else None
            stuck = positions[0] if positions else ""
            lags.append(
                Lag(
                    app,
                    name,
                    len(positions),
                    len(group.dead),
                    oldest,
                    stuck,
                    group.attempts.get(stuck, 0),
                    len(group.seats),
                )
            )
        return lags

    async def delete_group(self, app: str, group: str) -> Deletion:
        log, _, known = await self._group(app, group)
        if known is None:
            return Deletion.UNKNOWN
        if known.seats:
            return Deletion.IN_USE
        del log.groups[group]
        return Deletion.DELETED

    async def trim(self, app: str, keep: Retention) -> None:
        log, now = await self._log(app)
        log.trim(keep, now)

    async def forget_groups(self, app: str, unused_for: timedelta) -> None:
        log, now = await self._log(app)
        log.groups = {name: group for name, group in log.groups.items() if group.used > now - unused_for}

    async def _log(self, app: str) -> tuple[Log[Item], datetime]:
        await self._store._reach()
        return self._shared.logs.setdefault(app, Log()), self._shared.clock.now()

    async def _group(self, app: str, name: str) -> tuple[Log[Item], datetime, Group | None]:
        log, now = await self._log(app)
        if group := log.groups.get(name):
            self._look_at_the_clock(log, app, group, now)
        return log, now, group

    def _look_at_the_clock(self, log: Log[Item], app: str, group: Group, now: datetime) -> None:
        waited = log.waiting(group)
        group.look_at_the_clock(now)
        self._publish_if(app, bool(log.waiting(group) - waited))

    @staticmethod
    def _lets_go_on(log: Log[Item], group: Group, before: dict[str, int], corps: set[str]) -> bool:
        """Return whether any member may have one of the corps, or a busy one has handled half its events."""
        waiting = log.waiting(group)
        if any(entry.corp_id in corps and entry.position in waiting for entry in log.entries):
            return True
        return any(
            len(group.held_by(name)) <= seat.member.max_in_flight // 2 < before[name]
            and log.free_for(group, name)
            for name, seat in group.seats.items()
        )

    def _publish_if(self, app: str, told: bool) -> None:
        if told:
            self._store._publish(Notice(NoticeKind.AVAILABLE, topic(app)))


def milliseconds(moment: datetime) -> int:
    """Return the milliseconds since the epoch exactly, without floating point."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
