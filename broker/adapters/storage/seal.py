"""The seal on what a store holds: AES-256-GCM, the record's name as associated data."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.domain.replica.report import SealUse

NONCE_BYTES = 12
TAG_BYTES = 16
MOST_MISSED = 100
"""How many unknown keys are told apart: whoever writes the store can name any."""


class SealBroken(Exception):
    """No configured key opens a payload: the key is missing, or the payload was tampered with."""


class KeyUnknown(SealBroken):
    """The key is not configured here (yet): another replica may have it already."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """A named key of 32 bytes."""

    id: str
    key: bytes

    def __repr__(self) -> str:
        return f"SealKey({self.id!r}, ***)"


class Seal:
    """Seal with the first key, open with any. Layout: length of the key's id, id, nonce, ciphertext.

    Its keys may be replaced while it is used: what was opened before is not opened again.
    """

    def __init__(self, keys: Sequence[SealKey]) -> None:
        self._opened: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()
        self.replace(keys)

    def replace(self, keys: Sequence[SealKey]) -> None:
        """Use these keys from now on; the first seals. Check them before: see `app.seal_keys`."""
        self._first = keys[0].id
        self._ciphers = {key.id: AESGCM(key.key) for key in keys}

    @property
    def first(self) -> str:
        """Return the id of the key that seals."""
        return self._first

    def knows(self, key_id: str) -> bool:
        """Return whether it has a key of that id."""
        return key_id in self._ciphers

    def uses(self) -> list[SealUse]:
        """Return what each key opened since the start, and which keys were missed."""
        known = [SealUse(id_, id_ == self._first, True, self._opened[id_]) for id_ in self._ciphers]
        missed = sorted(id_ for id_ in self._missed if id_ not in self._ciphers)
        return known + [SealUse(id_, False, False, self._missed[id_]) for id_ in missed]

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
        if len(ciphertext) < TAG_BYTES:
            raise SealBroken(f"{name} is too short for a sealed payload")
        if cipher is None:
            if key_id in self._missed or len(self._missed) < MOST_MISSED:
                self._missed[key_id] += 1
            raise KeyUnknown(f"{name} is sealed with key {key_id!r}, which is not configured")
        try:
            opened = cipher.decrypt(nonce, ciphertext, name.encode())
        except InvalidTag:
            raise SealBroken(f"{name} does not open with key {key_id!r}") from None
        self._opened[key_id] += 1
        return opened

    def is_current(self, sealed: bytes) -> bool:
        """Return whether the first key sealed it."""
        return sealed_by(sealed) == self._first


def sealed_by(sealed: bytes) -> str:
    """Return the id of the key that sealed it, as it says itself."""
    return _split(sealed)[0]


def _split(sealed: bytes) -> tuple[str, bytes, bytes]:
    length = sealed[0] if sealed else 0
    start = 1 + length
    key_id = sealed[1:start].decode(errors="replace")
    return key_id, sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
