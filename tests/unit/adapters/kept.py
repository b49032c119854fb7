"""Values beside the records of them, and what may not stand in a record."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from broker.adapters.storage.codec import Codec
from broker.domain.ports.store import Record

AT = datetime(2026, 3, 2, 8, 0, 1, 123456, tzinfo=UTC)

TEXT = (None, 5, True, [], {})
MAYBE_TEXT = TEXT[1:]
NUMBER = (None, "5", 1.5, 1e300, True, 2**70, -(2**70), [], float("nan"))
FENCE = (*NUMBER, -1, 2**53)
FLAG = (None, 0, 1, "true", [])
MOMENT = (None, "1772438401", True, [], -1, 1e12, 1e300, 2**70, float("nan"), float("inf"))
SECRET = (None, "", 5, True, [], {})


@dataclass(frozen=True)
class Kept:
    """A value, the record of it that a broker of 1.0 wrote, and what may not stand in its fields."""

    codec: Codec[Any, Any]
    key: Any
    value: Any
    record: Record
    damage: Mapping[str, Sequence[object]]


def changed(kept: Kept, **fields: object) -> Record:
    """Return the record with other fields."""
    return replace(kept.record, payload=json.dumps({**json.loads(kept.record.payload), **fields}).encode())


def without(kept: Kept, *names: str) -> Record:
    """Return the record without some fields."""
    left = {name: value for name, value in json.loads(kept.record.payload).items() if name not in names}
    return replace(kept.record, payload=json.dumps(left).encode())
