"""Counts by name and slot of time. No step depends on how many names there are."""

from collections.abc import Iterable

FORGOTTEN_AT_ONCE = 8
"""How many names that have become old are forgotten in one step: more than can be added in one."""


class SlotCounts:
    """Count within a window of slots; what has left it is forgotten a little with each step."""

    def __init__(self, kept: int) -> None:
        """Keep so many slots, the present one included."""
        self._kept = kept
        self._rows: dict[str, dict[int, int]] = {}
        """By name, its counts by slot; the name that was added to last is the last one."""

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, name: str, slot: int, count: int = 1) -> None:
        """Add to the count of the name in that slot, which is the present one or close to it."""
        row = self._rows.pop(name, None)
        if row is None:
            row = {}
        elif slot not in row:
            row = {kept: row[kept] for kept in row if kept > slot - self._kept}
        row[slot] = row.get(slot, 0) + count
        self._rows[name] = row
        self._forget_old(slot - self._kept)

    def of(self, name: str, slots: Iterable[int]) -> list[int]:
        """Return the name's count in each of the slots."""
        row = self._rows.get(name)
        return [row.get(slot, 0) for slot in slots] if row else [0 for _ in slots]

    def _forget_old(self, newest: int) -> None:
        for _ in range(FORGOTTEN_AT_ONCE):
            name = next(iter(self._rows))
            if max(self._rows[name]) > newest:
                return
            del self._rows[name]
