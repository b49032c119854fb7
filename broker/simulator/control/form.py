"""A form: the JSON object of a control request, read field by field; errors name the field."""

import base64
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TypeVar

from broker.simulator.world.corps import AppId, Name
from broker.simulator.world.paths import path_of, path_or_all

Choice = TypeVar("Choice", bound=Enum)
Meaning = TypeVar("Meaning")

REQUIRED = object()
_LARGEST = sys.float_info.max
SAMPLE = "sample"
"""A string that stands for any other."""


class ControlMistake(Exception):
    """Report which field of a control request is wrong, and how."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class Form:
    """Hand out each field once; `finish` refuses fields that were not read.

    A subclass that replaces `_take`, `is_null`, `finish` and `in` can learn which fields an action reads.
    """

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = dict(fields)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def text(self, name: str, default: object = REQUIRED) -> str:
        """Read a string that is not empty, unless the default is."""
        value = self._take(name, default, "a string", SAMPLE)
        if not isinstance(value, str) or (not value and value != default):
            raise ControlMistake(name, "should be a string that is not empty")
        return value

    def integer(
        self, name: str, default: object = REQUIRED, *, least: int = 0, most: int | None = None
    ) -> int:
        """Read an integer."""
        takes = f"an integer, {least} " + ("or more" if most is None else f"to {most}")
        value = self._take(name, default, takes, max(least, 1))
        if type(value) is not int or value < least or (most is not None and value > most):
            raise ControlMistake(name, f"should be {takes}")
        return value

    def number(self, name: str, default: object = REQUIRED, *, most: float = float("inf")) -> float:
        """Read a number of seconds or the like, never negative."""
        takes = "a number, 0 " + ("or more" if most == float("inf") else f"to {most:g}")
        value = self._take(name, default, takes, 1.0)
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and 0 <= value <= min(most, _LARGEST)
        ):
            return float(value)
        raise ControlMistake(name, f"should be {takes}")

    def flag(self, name: str, default: object = REQUIRED) -> bool:
        """Read true or false."""
        value = self._take(name, default, "true or false", True)
        if not isinstance(value, bool):
            raise ControlMistake(name, "should be true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """Read a list of strings."""
        value = self._take(name, REQUIRED, "a list of strings", [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ControlMistake(name, "should be a list of strings")
        return value

    def choice(self, name: str, choices: type[Choice], default: object = REQUIRED) -> Choice:
        """Read one of the values of an enumeration."""
        words = [choice.value for choice in choices]
        value = self._take(name, default, either(words), *words)
        try:
            return choices(value if type(value) is not bool else None)
        except ValueError:
            raise ControlMistake(name, f"should be {either(words)}") from None

    def one_of(self, name: str, meanings: Mapping[str, Meaning]) -> Meaning:
        """Read a word, and return its meaning."""
        value = self._take(name, REQUIRED, either(meanings), *meanings)
        if not isinstance(value, str) or value not in meanings:
            raise ControlMistake(name, f"should be {either(meanings)}")
        return meanings[value]

    def app(self, prefix: str = "") -> AppId:
        """Read the two fields that name an app."""
        return AppId(self.text(f"{prefix}corpid"), self.integer(f"{prefix}agentid"))

    def raw(self, name: str) -> bytes | None:
        """Read bytes, which JSON can only have in base64; None without the field."""
        if name not in self:
            return None
        value = self._take(name, REQUIRED, "bytes in base64", "")
        try:
            return base64.b64decode(str(value), validate=True)
        except ValueError:
            raise ControlMistake(name, "should be bytes in base64") from None

    def name(self, name: str, default: Name) -> Name:
        """Read a name: a string, or bytes under `…_base64`."""
        text = self.text(name) if name in self else default
        return self.raw(f"{name}_base64") or text

    def endpoint(self, name: str = "endpoint") -> str:
        """Read the name of an endpoint as its path."""
        return self._endpoint(name, REQUIRED, "the name of an endpoint", path_of)

    def endpoint_or_all(self, name: str = "endpoint") -> str:
        """Read the name of an endpoint as its path, or "*", which is also the default."""
        return self._endpoint(name, "*", 'the name of an endpoint, or "*"', path_or_all)

    def endpoints(self, name: str) -> set[str]:
        """Read a list of endpoints as their paths."""
        return {_resolved(name, endpoint, path_of) for endpoint in self.texts(name)}

    def is_null(self, name: str) -> bool:
        """Return whether a field is null; read it then."""
        return name in self and self._fields[name] is None and self._fields.pop(name) is None

    def finish(self) -> None:
        """Refuse fields that were not read."""
        for name in self._fields:
            raise ControlMistake(name, "is no field of this request")

    def _endpoint(self, name: str, default: object, takes: str, resolve: Callable[[str], str]) -> str:
        value = self._take(name, default, takes, "gettoken")
        if not isinstance(value, str) or not value:
            raise ControlMistake(name, "should be a string that is not empty")
        return _resolved(name, value, resolve)

    def _take(self, name: str, default: object, takes: str, *samples: object) -> object:  # noqa: ARG002
        """Take a field off the form; `takes` and `samples` describe its values."""
        value = self._fields.pop(name, default)
        if value is REQUIRED:
            raise ControlMistake(name, "is missing")
        return value


def _resolved(field: str, name: str, resolve: Callable[[str], str]) -> str:
    try:
        return resolve(name)
    except ValueError as unknown:
        raise ControlMistake(field, str(unknown)) from None


def either(words: Iterable[object]) -> str:
    """Return "a, b or c"."""
    *others, last = map(str, words)
    return f"{', '.join(others)} or {last}" if others else last
