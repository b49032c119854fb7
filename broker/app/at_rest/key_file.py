"""The seal key of the embedded store, where none is configured: a file beside the database."""

import base64
import binascii
import os
import secrets
from pathlib import Path

from broker.adapters.storage.seal import SealKey

KEY_BYTES = 32
KEY_ID = "embedded"
ANYBODY = 0o007
"""The group may have access: Kubernetes gives the files of a volume to the broker's own group."""


class KeyFileUnusable(Exception):
    """There is no key, or not one that may be trusted; the message says what to do."""


def key_file_of(database: Path) -> Path:
    """Return where the key of a database is."""
    return database.with_name(f"{database.name}.key")


def read_key(database: Path) -> SealKey | None:
    """Return the key; None if there is no file. Raises `KeyFileUnusable`."""
    path = key_file_of(database)
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileUnusable(
            f"the key file {path} cannot be read ({error.strerror}): give it to the user that runs the broker"
        ) from None
    if mode & ANYBODY:
        raise KeyFileUnusable(f"the key file {path} is open to everybody on this machine: chmod 600 {path}")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        what = "is empty" if not text.strip() else f"is not base64 of {KEY_BYTES} bytes"
        raise KeyFileUnusable(f"the key file {path} {what}: {_remedy(database)}")
    return SealKey(KEY_ID, key)


def make_key(database: Path) -> SealKey:
    """Write a new key that only its owner can read; the caller holds the database. Raises `KeyFileUnusable`.

    It is on disk before anything is sealed with it, and is never partly written.
    """
    path, key = key_file_of(database), secrets.token_bytes(KEY_BYTES)
    unfinished = path.with_name(f"{path.name}.new")
    try:
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(key))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise KeyFileUnusable(f"the key file {path} cannot be written: {error.strerror}") from None
    return SealKey(KEY_ID, key)


def missing(database: Path) -> KeyFileUnusable:
    """Return the error for a database that has data but no key file: a new key would open nothing."""
    return KeyFileUnusable(f"the key file {key_file_of(database)} is missing: {_remedy(database)}")


def _remedy(database: Path) -> str:
    return (
        f"restore it from a backup, for nothing else opens {database}"
        f" (or move {database} away to start with an empty store)"
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
