"""Any store, with every payload sealed: AES-256-GCM, the record's name as associated data."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.domain.errors import StoreUnavailable
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Busy, Lease, Notice, Record, Store

NONCE_BYTES = 12


class SealBroken(Exception):
    """No configured key opens a payload: the key is missing, or somebody wrote to the store."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """A named key of 32 bytes."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"SealKey({self.id!r}, ***)"


class Seal:
    """Seal with the first key, open with any. Layout: length of the key's id, id, nonce, ciphertext."""

    def __init__(self, keys: Sequence[SealKey]) -> None:
        self._first = keys[0].id
        self._ciphers = {key.id: AESGCM(key.key) for key in keys}

    def close(self, name: str, payload: bytes) -> bytes:
        """Return the payload sealed for that name."""
        nonce = os.urandom(NONCE_BYTES)
        key_id = self._first.encode()
        sealed = self._ciphers[self._first].encrypt(nonce, payload, name.encode())
        return bytes([len(key_id)]) + key_id + nonce + sealed

    def open(self, name: str, sealed: bytes) -> bytes:
        """Return the payload. Raises `SealBroken`."""
        key_id, nonce, ciphertext = _split(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBroken(f"{name} is sealed with key {key_id!r}, which is not configured")
        try:
            return cipher.decrypt(nonce, ciphertext, name.encode())
        except (InvalidTag, ValueError):  # the latter: too short for a nonce
            raise SealBroken(f"{name} does not open with key {key_id!r}") from None

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether the first key sealed it."""
        return _split(sealed)[0] == self._first


def _split(sealed: bytes) -> tuple[str, bytes, bytes]:
    length = sealed[0] if sealed else 0
    start = 1 + length
    key_id = sealed[1:start].decode(errors="replace")
    return key_id, sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]


class SealedStore:
    """Seal what goes into a store and open what comes out.

    A payload that does not open counts as missing, and is told: the broker fetches anew.
    """

    def __init__(self, inner: Store, seal: Seal, observer: Observer) -> None:
        self._inner = inner
        self._seal = seal
        self._observer = observer

    async def load(self, names: Sequence[str]) -> dict[str, Record]:
        """Return those that exist and open; re-seal what an older key sealed."""
        records = {}
        for name, record in (await self._inner.load(names)).items():
            if record.is_tombstone:
                records[name] = record
                continue
            try:
                records[name] = replace(record, payload=self._seal.open(name, record.payload))
            except SealBroken as error:
                self._observer.background_failed("opening a record", error)
                continue
            if not self._seal.is_current(record.payload):
                with suppress(StoreUnavailable):  # it was read; the next one who reads it seals it anew
                    await self._inner.replace(self._closed(records[name]))
        return records

    async def commit(self, record: Record, lease: Lease) -> bool:
        """See `Records.commit`."""
        return await self._inner.commit(self._closed(record), lease)

    async def offer(self, record: Record) -> bool:
        """See `Records.offer`."""
        return await self._inner.offer(self._closed(record))

    async def replace(self, record: Record) -> bool:
        """See `Records.replace`."""
        return await self._inner.replace(self._closed(record))

    async def forget(self, name: str, fence: int) -> None:
        """See `Records.forget`."""
        await self._inner.forget(name, fence)

    async def acquire(self, name: str, duration: timedelta, floor: int = 0) -> Lease | Busy:
        """See `Leases.acquire`."""
        return await self._inner.acquire(name, duration, floor)

    async def renew(self, lease: Lease) -> bool:
        """See `Leases.renew`."""
        return await self._inner.renew(lease)

    async def release(self, lease: Lease) -> None:
        """See `Leases.release`."""
        await self._inner.release(lease)

    async def count(self, name: str, window: timedelta) -> int:
        """See `Counters.count`."""
        return await self._inner.count(name, window)

    async def counts(self, names: Sequence[str]) -> dict[str, int]:
        """See `Counters.counts`."""
        return await self._inner.counts(names)

    def notices(self) -> AsyncIterator[Notice]:
        """See `Store.notices`."""
        return self._inner.notices()

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._inner.ping()

    def _closed(self, record: Record) -> Record:
        return replace(record, payload=self._seal.close(record.name, record.payload))
