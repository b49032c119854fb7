"""A store whose records pass through a sealed collection: what a store promises, collections keep."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from broker.adapters.storage.codec import Codec
from broker.adapters.storage.collection import SealedCollection
from broker.adapters.storage.seal import Seal
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Busy, Lease, Notice, Record, Store
from broker.domain.stores.status import StoreStatus
from tests.contract.making import FAR

RECORDS: Codec[str, Record] = Codec(
    str, lambda record: record, lambda _name, record: record, is_forgotten=True
)
"""Records are their own values."""


class SealedStore:
    """Another store, with every payload sealed."""

    def __init__(self, inner: Store, seal: Seal, observer: Observer) -> None:
        self._inner = inner
        self._seal = seal
        self._records = SealedCollection(inner, seal, RECORDS, observer)

    async def load(self, names: Sequence[str]) -> dict[str, Record]:
        found = await self._records.load(names)
        return {
            name: stored.value or Record(name, stored.fence, b"", FAR)
            for name, stored in found.items()
            if stored.is_readable
        }

    async def commit(self, record: Record, lease: Lease) -> bool:
        return await self._records.commit(record, lease)

    async def offer(self, record: Record) -> bool:
        return await self._records.offer(record)

    async def supplant(self, record: Record, damaged: bytes) -> bool:
        sealed = self._seal.close(record.name, record.payload)
        return await self._inner.supplant(replace(record, payload=sealed), damaged)

    async def replace(self, record: Record) -> bool:
        sealed = self._seal.close(record.name, record.payload)
        return await self._inner.replace(replace(record, payload=sealed))

    async def forget(self, name: str, fence: int) -> None:
        await self._records.forget(name, fence)

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        return await self._inner.acquire(name, duration, floor)

    async def renew(self, lease: Lease) -> bool:
        return await self._inner.renew(lease)

    async def release(self, lease: Lease) -> None:
        await self._inner.release(lease)

    async def count(self, name: str, window: timedelta) -> int:
        return await self._inner.count(name, window)

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        return await self._inner.counts(names)

    async def enlist(self, group: str, name: str, keep_until: datetime) -> None:
        await self._inner.enlist(group, name, keep_until)

    async def members(self, group: str, start: int, count: int) -> list[str]:
        return await self._inner.members(group, start, count)

    async def strike(self, group: str, name: str) -> None:
        await self._inner.strike(group, name)

    def notices(self) -> AsyncIterator[Notice]:
        return self._inner.notices()

    async def ping(self) -> None:
        await self._inner.ping()

    async def status(self) -> StoreStatus:
        return await self._inner.status()

    async def durability_problem(self) -> str:
        return await self._inner.durability_problem()
