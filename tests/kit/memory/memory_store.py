"""A store in memory that can become unavailable, for the engine's tests.

It passes the same contract suite as the real ones; several brokers may share one through `connection`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from broker.adapters.storage.seal import Seal, SealKey
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Busy, Lease, Notice, NoticeKind, Record
from broker.domain.stores.redis_address import Topology
from broker.domain.stores.status import StoreStatus


class NoSeal(Seal):
    """Leaves payloads as they are, for tests that look into the store."""

    def __init__(self) -> None:
        super().__init__([SealKey("none", bytes(32))])

    def close(self, name: str, payload: bytes) -> bytes:
        return payload

    def open(self, name: str, sealed: bytes) -> bytes:
        return sealed

    def is_current(self, sealed: bytes) -> bool:
        return True


@dataclass
class Shared:
    """The data that all connections share."""

    clock: Clock
    records: dict[str, Record] = field(default_factory=dict)
    issued: dict[str, int] = field(default_factory=dict)
    leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    counters: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    groups: dict[str, dict[str, datetime]] = field(default_factory=dict)
    owners: "count[int]" = field(default_factory=count)
    connections: list["MemoryStore"] = field(default_factory=list)

    def lose_data(self) -> None:
        """Forget everything, as a Redis without persistence does when it restarts."""
        self.records.clear()
        self.issued.clear()
        self.leases.clear()
        self.counters.clear()
        self.groups.clear()


class MemoryStore:
    """One broker's connection: it can be cut, and it can lose notices."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._listeners: set[asyncio.Queue[Notice]] = set()
        self.away = False
        self.deaf = False
        shared.connections.append(self)

    def cut(self) -> None:
        """Make the store unreachable for this broker."""
        self.away = True

    def mend(self) -> None:
        """Make it reachable again; CONNECTED follows, as from a real one."""
        self.away = False
        self._on_notice(Notice(NoticeKind.CONNECTED))

    async def load(self, names: Sequence[str]) -> dict[str, Record]:
        await self._reach()
        return {name: self._shared.records[name] for name in names if name in self._shared.records}

    async def commit(self, record: Record, lease: Lease) -> bool:
        await self._reach()
        if self._owner(lease.name) != lease.owner or self._fence(record.name) >= record.fence:
            return False
        del self._shared.leases[lease.name]
        self._write(record)
        return True

    async def offer(self, record: Record) -> bool:
        await self._reach()
        if self._fence(record.name) >= record.fence:
            return False
        self._write(record)
        return True

    async def supplant(self, record: Record, damaged: bytes) -> bool:
        await self._reach()
        held = self._shared.records.get(record.name)
        if not held or held.payload != damaged:
            return False
        self._write(record)
        return True

    async def replace(self, record: Record) -> bool:
        await self._reach()
        held = self._shared.records.get(record.name)
        if not held or held.is_tombstone or held.fence != record.fence:
            return False
        self._shared.records[record.name] = record
        return True

    async def forget(self, name: str, fence: int) -> None:
        await self._reach()
        if self._fence(name) <= fence:
            far = self._shared.clock.now() + timedelta(days=1)
            self._shared.records[name] = Record(name, fence, b"", far)
            self._publish(Notice(NoticeKind.FORGOTTEN, name, fence))

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        await self._reach()
        now = self._shared.clock.now()
        if self._owner(name) is not None and (left := self._shared.leases[name][1] - now) <= 2 * duration:
            return Busy(left)
        last = max(self._shared.issued.get(name, 0), floor, self._fence(name))
        fence = max(last + 1, int(now.timestamp() * 1000))
        self._shared.issued[name] = fence
        owner = f"owner-{next(self._shared.owners)}"
        self._shared.leases[name] = (owner, now + duration)
        return Lease(name, owner, fence, duration)

    async def renew(self, lease: Lease) -> bool:
        await self._reach()
        if self._owner(lease.name) != lease.owner:
            return False
        self._shared.leases[lease.name] = (lease.owner, self._shared.clock.now() + lease.duration)
        return True

    async def release(self, lease: Lease) -> None:
        await self._reach()
        if self._owner(lease.name) == lease.owner:
            del self._shared.leases[lease.name]
            self._publish(Notice(NoticeKind.RELEASED, lease.name, lease.fence))

    async def count(self, name: str, window: timedelta) -> int:
        await self._reach()
        now = self._shared.clock.now()
        number, ends = self._shared.counters.get(name, (0, now))
        number, ends = (number + 1, ends) if number and now < ends else (1, now + window)
        self._shared.counters[name] = (number, ends)
        return number

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        await self._reach()
        now = self._shared.clock.now()
        found = {name: self._shared.counters.get(name, (0, now)) for name in names}
        return {name: number if now < ends else 0 for name, (number, ends) in found.items()}

    async def enlist(self, group: str, name: str, keep_until: datetime) -> None:
        await self._reach()
        names = self._shared.groups.setdefault(group, {})
        names[name] = max(keep_until, names.get(name, keep_until))

    async def members(self, group: str, start: int, count: int) -> list[str]:
        await self._reach()
        now = self._shared.clock.now()
        names = sorted(
            (ends, name) for name, ends in self._shared.groups.get(group, {}).items() if ends > now
        )
        return [name for _, name in names[start : start + count]]

    async def strike(self, group: str, name: str) -> None:
        await self._reach()
        self._shared.groups.get(group, {}).pop(name, None)

    async def notices(self) -> AsyncIterator[Notice]:
        queue: asyncio.Queue[Notice] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield Notice(NoticeKind.CONNECTED)
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def ping(self) -> None:
        await self._reach()

    async def status(self) -> StoreStatus:
        return StoreStatus(Topology.SQLITE)

    async def durability_problem(self) -> str:
        return ""

    async def _reach(self) -> None:
        """Yield to other tasks first, as a network call would. Raises StoreUnavailable while away."""
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("the store of the test is away", timedelta(seconds=1))

    def _owner(self, name: str) -> str | None:
        owner, ends = self._shared.leases.get(name, (None, self._shared.clock.now()))
        return owner if self._shared.clock.now() < ends else None

    def _fence(self, name: str) -> int:
        record = self._shared.records.get(name)
        return record.fence if record else 0

    def _write(self, record: Record) -> None:
        self._shared.records[record.name] = record
        self._shared.issued[record.name] = max(self._shared.issued.get(record.name, 0), record.fence)
        self._publish(Notice(NoticeKind.COMMITTED, record.name, record.fence))

    def _publish(self, notice: Notice) -> None:
        for connection in self._shared.connections:
            if not connection.away and not connection.deaf:
                connection._on_notice(notice)

    def _on_notice(self, notice: Notice) -> None:
        for queue in self._listeners:
            queue.put_nowait(notice)
