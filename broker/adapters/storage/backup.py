"""A file of authorisations that an operator keeps: sealed with a key of their own, one line each.

The first line says what the file is, how many lines follow, and has a seal that proves the key. Each further
line names a suite and a corp, and seals what is known of them. A seal also covers the file, the line's number
and the names, so that no line can be left out, moved, or taken from another file.
"""

import base64
import binascii
import json
import secrets
from collections.abc import Sequence
from typing import Literal

from broker.adapters.storage.payload import Count, Fence, Payload, RecordDamaged
from broker.adapters.storage.seal import Seal, SealBroken, SealKey
from broker.adapters.storage.suite_codecs import AUTHORIZATIONS, FOR_EVER
from broker.domain.ports.store import Record
from broker.domain.suites.authorization import Authorization

KEY_BYTES = 32
VERSION = 1


class BackupRefused(Exception):
    """The key or the file is not usable; the message says why, and shows nothing of either."""


class _Header(Payload):
    format: Literal["wecom-broker authorizations"] = "wecom-broker authorizations"
    version: Count
    id: str
    count: Count
    proof: str


class _Line(Payload):
    suite: str
    corp_id: str
    fence: Fence
    sealed: str


def backup_key(text: str) -> SealKey:
    """Return the key that an operator gives as base64 of 32 bytes. Raises `BackupRefused`."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):  # the latter: not ASCII
        key = b""
    if len(key) != KEY_BYTES:
        raise BackupRefused(f"the key is not base64 of {KEY_BYTES} bytes")
    return SealKey("backup", key)


def write_backup(authorizations: Sequence[Authorization], key: SealKey) -> bytes:
    """Return the file; only the key opens it."""
    seal, file_id, count = Seal([key]), secrets.token_hex(16), len(authorizations)
    header = _Header(version=VERSION, id=file_id, count=count, proof="")
    lines: list[Payload] = [header.model_copy(update={"proof": _close(seal, _named(header), b"")})]
    for number, authorization in enumerate(authorizations, 1):
        record = AUTHORIZATIONS.encode(authorization)
        line = _Line(suite=authorization.suite, corp_id=authorization.corp_id, fence=record.fence, sealed="")
        sealed = _close(seal, _named(header, number, line), record.payload)
        lines.append(line.model_copy(update={"sealed": sealed}))
    return b"".join(line.to_bytes() + b"\n" for line in lines)


def read_backup(file: bytes, key: SealKey) -> list[Authorization]:
    """Return what is in the file. Raises `BackupRefused` unless all of it is as it was written."""
    first, *rest = file.rstrip().splitlines() or [b""]
    seal, header = Seal([key]), _header_in(first)
    try:
        _open(seal, _named(header), header.proof)
    except SealBroken:
        raise BackupRefused("the key is not that of the file, or the file's first line was altered") from None
    if len(rest) != header.count:
        raise BackupRefused(f"the file is not whole: it has {len(rest)} of {header.count} authorisations")
    return [_read(seal, header, number, line) for number, line in enumerate(rest, 1)]


def _header_in(line: bytes) -> _Header:
    try:
        header = _Header.of("the file", line)
    except RecordDamaged:
        raise BackupRefused("this is no export of authorisations") from None
    if header.version != VERSION:
        raise BackupRefused(
            f"the file is of version {header.version}, and this broker reads version {VERSION} alone"
        )
    return header


def _read(seal: Seal, header: _Header, number: int, text: bytes) -> Authorization:
    where = f"line {number + 1}"
    try:
        line = _Line.of(where, text)
        payload = _open(seal, _named(header, number, line), line.sealed)
    except (RecordDamaged, SealBroken):
        raise BackupRefused(f"{where} of the file was cut off or altered") from None
    key = (line.suite, line.corp_id)
    try:
        return AUTHORIZATIONS.decode(key, Record(where, line.fence, payload, FOR_EVER))
    except RecordDamaged as error:
        raise BackupRefused(f"a newer broker wrote the file: {error}") from None


def _named(header: _Header, number: int = 0, line: _Line | None = None) -> str:
    """Return what a seal covers beside what it hides."""
    names = [line.suite, line.corp_id, line.fence] if line else []
    return json.dumps([header.format, header.version, header.id, header.count, number, *names])


def _close(seal: Seal, name: str, payload: bytes) -> str:
    return base64.b64encode(seal.close(name, payload)).decode()


def _open(seal: Seal, name: str, sealed: str) -> bytes:
    """Raises `SealBroken`."""
    try:
        return seal.open(name, base64.b64decode(sealed, validate=True))
    except ValueError:  # not base64
        raise SealBroken("no base64") from None
