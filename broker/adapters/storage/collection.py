"""Typed collections over the records of a store: a codec for the values, a seal for what is written."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Generic, TypeVar

from broker.adapters.storage.codec import Codec
from broker.adapters.storage.payload import LARGEST_FENCE, RecordDamaged, identity_in
from broker.adapters.storage.seal import KeyUnknown, Seal, SealBroken
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.collection import Stored
from broker.domain.ports.observer import Damage, Observer
from broker.domain.ports.store import Lease, Record, Records

Key = TypeVar("Key")
Value = TypeVar("Value")
READ_AT_ONCE = 50
"""How many records are asked for in one message."""
OPENED_IN_A_ROW = 16
"""How many are opened before calls get their turn: each takes some 40 µs."""
MOST_REPORTED = 10_000
"""How many records are remembered as damaged, as sealed with an unknown key, or as forgotten."""


class SealedCollection(Generic[Key, Value]):
    """The collection of one type of value in a store.

    A record that does not open, that the codec cannot read, or that stands under another number than it was
    written with, is reported once and counts as missing: what is fetched, or held in memory, replaces it.
    A record that is sealed with a key which is not configured here is waited for: replicas get keys in any
    order.
    """

    def __init__(
        self,
        records: Records,
        seal: Seal,
        codec: Codec[Key, Value],
        observer: Observer,
        identity_of: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._records = records
        self._seal = seal
        self._codec = codec
        self._observer = observer
        self._identity_of = identity_of
        """Returns the present identity of the app of that name; empty where none is configured."""
        self._damaged: dict[str, Record] = {}
        """What was found damaged, and has been reported."""
        self._unknown: set[str] = set()
        self._forgotten: dict[str, int] = {}
        """What this broker forgot does not come back. Others' tombstones are not kept: they can be forged."""

    def name_of(self, key: Key) -> str:
        """See `Collection.name_of`."""
        return self._codec.name_of(key)

    def is_current(self, value: Value) -> bool:
        """See `Collection.is_current`."""
        return self._codec.app_of is None or self._is_present(*self._codec.app_of(value))

    def _is_present(self, app: str, identity: str) -> bool:
        return not identity or self._identity_of(app) in ("", identity)

    async def load(self, keys: Sequence[Key]) -> dict[Key, Stored[Value]]:
        """See `Collection.load`. Re-seals what an older key sealed."""
        found: dict[Key, Stored[Value]] = {}
        for start in range(0, len(keys), READ_AT_ONCE):
            by_name = {self._codec.name_of(key): key for key in keys[start : start + READ_AT_ONCE]}
            records = await self._records.load(list(by_name))
            for number, (name, record) in enumerate(records.items(), 1):
                if stored := await self._opened(by_name[name], name, record):
                    found[by_name[name]] = stored
                if number % OPENED_IN_A_ROW == 0:
                    await asyncio.sleep(0)
        return found

    async def _opened(self, key: Key, name: str, record: Record) -> Stored[Value] | None:
        """Return what is in the record; None if it is damaged, which is reported."""
        try:
            stored = await self._read(key, record)
        except KeyUnknown as error:
            self._report_unknown(name, error)
            return Stored(record.fence, None, is_readable=False)
        except (SealBroken, RecordDamaged) as error:
            self._report_damaged(record, error)
            return None
        self._damaged.pop(name, None)
        self._unknown.discard(name)
        if stored.value is not None and not self.is_current(stored.value):
            return Stored(record.fence, None, is_others=True)
        return stored

    async def find(self, key: Key) -> Value | None:
        """See `Collection.find`."""
        stored = (await self.load([key])).get(key)
        if stored and not stored.is_readable:
            raise StoreUnavailable(
                f"{self.name_of(key)} is sealed with a key that this broker does not have yet"
            )
        return stored.value if stored else None

    async def commit(self, value: Value, lease: Lease) -> bool:
        """See `Collection.commit`."""
        if not self.is_current(value):
            return False
        return await self._records.commit(self._sealed(self._codec.encode(value)), lease)

    async def offer(self, value: Value) -> bool:
        """See `Collection.offer`."""
        if not self.is_current(value):
            return False
        record = self._sealed(self._codec.encode(value))
        if damaged := self._damaged.pop(record.name, None):
            # By now somebody else may have replaced it.
            return await self._records.supplant(record, damaged.payload) or await self._records.offer(record)
        return await self._records.offer(record)

    async def supplant(self, value: Value) -> bool:
        """See `Collection.supplant`."""
        if await self.offer(value):
            return True
        if self._codec.app_of is None or not self.is_current(value):
            return False
        record = self._sealed(self._codec.encode(value))
        present = (await self._records.load([record.name])).get(record.name)
        if present is None or present.is_tombstone:
            return False
        app, _ = self._codec.app_of(value)
        try:
            identity = identity_in(self._unsealed(present))
        except (KeyUnknown, SealBroken, RecordDamaged):
            return False
        return not self._is_present(app, identity) and await self._records.supplant(record, present.payload)

    async def forget(self, key: Key, fence: int) -> None:
        """See `Collection.forget`."""
        name = self._codec.name_of(key)
        await self._records.forget(name, fence)
        self._note_forgotten(name, fence)

    async def _read(self, key: Key, record: Record) -> Stored[Value]:
        if not 0 < record.fence <= LARGEST_FENCE:
            raise RecordDamaged(record.name, "its fencing number")
        if record.is_tombstone:
            if not self._codec.is_forgotten:
                raise RecordDamaged(record.name, "it is empty, and no broker forgets it")
            return Stored(record.fence, None)
        if record.fence <= self._forgotten.get(record.name, 0):
            raise RecordDamaged(record.name, "it was forgotten, and is back")
        opened = self._unsealed(record)
        value = self._codec.decode(key, opened)
        if not self._seal.is_current(record.payload):
            with suppress(StoreUnavailable):  # the value was read; the next reader re-seals it
                await self._records.replace(self._sealed(opened))
        return Stored(record.fence, value)

    def _unsealed(self, record: Record) -> Record:
        return replace(record, payload=self._seal.open(record.name, record.payload))

    def _sealed(self, record: Record) -> Record:
        return replace(record, payload=self._seal.close(record.name, record.payload))

    def _note_forgotten(self, name: str, fence: int) -> None:
        if len(self._forgotten) >= MOST_REPORTED:
            del self._forgotten[next(iter(self._forgotten))]
        self._forgotten[name] = max(fence, self._forgotten.pop(name, 0))

    def _report_damaged(self, record: Record, error: Exception) -> None:
        if record.name not in self._damaged:
            self._observer.damage_found(Damage.RECORD, error.with_traceback(None))
        if len(self._damaged) >= MOST_REPORTED:
            self._damaged.clear()
        self._damaged[record.name] = record

    def _report_unknown(self, name: str, error: Exception) -> None:
        if name not in self._unknown:
            self._observer.damage_found(Damage.KEY_UNKNOWN, error.with_traceback(None))
        if len(self._unknown) >= MOST_REPORTED:
            self._unknown.clear()
        self._unknown.add(name)
