"""What a broker in this process holds in memory and in its store, counted: no figure of the allocator."""

import asyncio
import gc
import sqlite3
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

COUNTED = (dict, set, frozenset, list, deque)
OURS, NOT_OURS = ("broker.", "prometheus_client."), "broker.simulator"


def census(database: Path) -> Counter[str]:
    """Return how large each collection is, how many values of each class live, and the rows of each table.

    A collection is named after the class and the attribute that hold it, those of all instances together.
    """
    gc.collect()
    sizes: Counter[str] = Counter()
    for found in gc.get_objects():
        if name := _class_of(found):
            sizes[name] += 1
            for attribute, value in _attributes(found):
                if isinstance(value, COUNTED):
                    sizes[f"{name}.{attribute}"] += _size(value)
    sizes["tasks"] = len(asyncio.all_tasks())
    return sizes + _rows(database)


def growth(
    before: Counter[str], after: Counter[str], more_than: int, bounds: Mapping[str, int]
) -> dict[str, int]:
    """Return what has grown by more than that, or beyond the bound for what its name begins with."""
    grown = {name: after[name] - before[name] for name in after if after[name] - before[name] > more_than}
    return {
        name: more
        for name, more in grown.items()
        if not any(name.startswith(own) and after[name] <= bound for own, bound in bounds.items())
    }


def _class_of(found: object) -> str:
    """Return the name of the object's class, if that is the broker's."""
    kind = type(found)
    module = getattr(kind, "__module__", "")
    if not isinstance(module, str) or not module.startswith(OURS) or module.startswith(NOT_OURS):
        return ""
    return f"{module}.{kind.__qualname__}"


def _attributes(found: object) -> Iterator[tuple[str, Any]]:
    yield from getattr(found, "__dict__", {}).items()
    for kind in type(found).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if hasattr(found, slot):
                yield slot, getattr(found, slot)


def _size(value: Collection[Any]) -> int:
    """Return how much is in a collection, and in those within it."""
    inner = list(value.values() if isinstance(value, Mapping) else value)
    return len(value) + sum(len(each) for each in inner if isinstance(each, COUNTED))


def _rows(database: Path) -> Counter[str]:
    with sqlite3.connect(database) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        counts = {
            f"table {name}": connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in tables
        }
    connection.close()
    return Counter(counts)
