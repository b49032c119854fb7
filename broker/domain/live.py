"""Configured values by name, which a reload replaces while others hold them."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

Value = TypeVar("Value")


class Live(Mapping[str, Value]):
    """Show the present values to whoever holds it; who iterates goes on over those it began with."""

    __slots__ = ("_present",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._present = dict(values)

    def replace(self, values: Mapping[str, Value]) -> None:
        """Take the values of a new configuration."""
        self._present = dict(values)

    def __getitem__(self, name: str) -> Value:
        return self._present[name]

    def __contains__(self, name: object) -> bool:
        return name in self._present

    def __iter__(self) -> Iterator[str]:
        return iter(self._present)

    def __len__(self) -> int:
        return len(self._present)
