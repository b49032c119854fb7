"""A form: the JSON object of a control request, read field by field; what cannot be read is named."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypeVar

from broker.simulator.world.corps import AppId
from broker.simulator.world.paths import path_of, path_or_all

Choice = TypeVar("Choice", bound=Enum)
_REQUIRED = object()


class ControlMistake(Exception):
    """Say which field of a control request is wrong, and how."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class Form:
    """Hand out each field once; `finish` refuses what nobody asked for."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = dict(fields)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def text(self, name: str, default: object = _REQUIRED) -> str:
        """Read a string that is not empty, unless the default is."""
        value = self._take(name, default)
        if not isinstance(value, str) or (not value and value != default):
            raise ControlMistake(name, "should be a string that is not empty")
        return value

    def integer(self, name: str, default: object = _REQUIRED, *, least: int = 0) -> int:
        """Read an integer."""
        value = self._take(name, default)
        if type(value) is not int or value < least:
            raise ControlMistake(name, f"should be an integer, {least} or more")
        return value

    def number(self, name: str, default: object = _REQUIRED) -> float:
        """Read a number of seconds or the like, never negative."""
        value = self._take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ControlMistake(name, "should be a number, 0 or more")
        return float(value)

    def flag(self, name: str, default: object = _REQUIRED) -> bool:
        """Read true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise ControlMistake(name, "should be true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """Read a list of strings."""
        value = self._take(name, _REQUIRED)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ControlMistake(name, "should be a list of strings")
        return value

    def choice(self, name: str, choices: type[Choice], default: object = _REQUIRED) -> Choice:
        """Read one of the values of an enumeration."""
        value = self._take(name, default)
        try:
            return choices(value if type(value) is not bool else None)
        except ValueError:
            allowed = ", ".join(str(choice.value) for choice in choices)
            raise ControlMistake(name, f"should be one of {allowed}") from None

    def app(self, prefix: str = "") -> AppId:
        """Read the two fields that name an app."""
        return AppId(self.text(f"{prefix}corpid"), self.integer(f"{prefix}agentid"))

    def endpoint(self, name: str = "endpoint") -> str:
        """Read the name of an endpoint as its path."""
        return resolved(name, self.text(name), path_of)

    def endpoint_or_all(self, name: str = "endpoint") -> str:
        """Read the name of an endpoint as its path, or "*", which is also what is meant without it."""
        return resolved(name, self.text(name, "*"), path_or_all)

    def is_null(self, name: str) -> bool:
        """Return whether a field is null; read it then."""
        return name in self and self._fields[name] is None and self._fields.pop(name) is None

    def finish(self) -> None:
        """Refuse fields that were not read."""
        for name in self._fields:
            raise ControlMistake(name, "is no field of this request")

    def _take(self, name: str, default: object) -> object:
        value = self._fields.pop(name, default)
        if value is _REQUIRED:
            raise ControlMistake(name, "is missing")
        return value


def resolved(field: str, name: str, resolve: Callable[[str], str]) -> str:
    """Find an endpoint's path; one that does not exist is the mistake of that field."""
    try:
        return resolve(name)
    except ValueError as unknown:
        raise ControlMistake(field, str(unknown)) from None
