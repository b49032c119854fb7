"""What a codec is.

Replicas of several versions share a store: a field that was added later may be missing, and one that this
version does not know is ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from broker.domain.ports.store import Record

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Codec(Generic[Key, Value]):
    """Encode values of one type into unsealed records, and decode them."""

    name_of: Callable[[Key], str]
    encode: Callable[[Value], Record]
    decode: Callable[[Key, Record], Value]
    """Raises `RecordDamaged`."""
    is_forgotten: bool = False
    """Whether brokers forget such values, and so leave tombstones. Of others, a tombstone is forged."""
    app_of: Callable[[Value], tuple[str, str]] | None = None
    """Returns the name of the app that a value belongs to, and the identity of that app; None: to no app."""
