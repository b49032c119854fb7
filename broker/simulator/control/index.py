"""An index of the control API, made by running each action on a form that records which fields it reads."""

import json
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from aiohttp import web

from broker.simulator.control.form import REQUIRED, SAMPLE, ControlMistake, Form, either
from broker.simulator.control.routes import ACTIONS, PREFIX, Action
from broker.simulator.demo import demo_world

_HEAD = f"""The simulated WeCom, by remote control. Send the fields as one JSON object:

  curl -X POST $SIMULATOR{PREFIX}/faults -d '{{"endpoint": "gettoken", "kind": "status", "status": 502}}'

An endpoint's name is its path, or an ending that only it has: "gettoken", "corp/gettoken", "ticket/get".
"""


async def index(_request: web.Request) -> web.Response:
    """Answer GET /_simulator/."""
    return web.Response(text="\n".join([_HEAD, *map(_entry, ACTIONS)]))


@dataclass(frozen=True, slots=True)
class _Field:
    """Hold how an action describes a field when it reads it."""

    takes: str
    default: object
    samples: tuple[object, ...]

    def __str__(self) -> str:
        default = self.default.value if isinstance(self.default, Enum) else self.default
        if default is REQUIRED:
            return f"{self.takes}, required"
        if default in (None, "", SAMPLE):
            return self.takes
        shown = f"{default:g}" if type(default) is float else json.dumps(default, ensure_ascii=False)
        return f"{self.takes}; default {shown}"


class _Finished(Exception):
    """End an action that has read all its fields, before it changes anything."""


@dataclass(slots=True)
class _Reading(Form):
    """Be a form with all fields, or with the required ones only, that records which were read."""

    full: bool
    chosen: Mapping[str, object] = field(default_factory=dict)
    fields: dict[str, _Field] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)
    nullable: set[str] = field(default_factory=set)

    def __contains__(self, name: object) -> bool:
        self.optional.add(str(name))
        return self.full

    def is_null(self, name: str) -> bool:
        """Return False, so that the action goes on to read the field."""
        self.optional.add(name)
        self.nullable.add(name)
        return False

    def finish(self) -> None:
        """End the action. Raises `_Finished`."""
        raise _Finished

    def _take(self, name: str, default: object, takes: str, *samples: object) -> object:
        takes += ", or null" if name in self.nullable else ""
        self.fields[name] = _Field(takes, None if name in self.optional else default, samples)
        return self.chosen.get(name, samples[0] if default is REQUIRED else default)


def _entry(route: tuple[str, str]) -> str:
    method, name = route
    about = (ACTIONS[route].__doc__ or "").splitlines()[0]
    fields = "".join(f"    {line}\n" for line in _fields(ACTIONS[route]))
    return f"{method} {PREFIX}/{name}\n  {about}\n{fields}"


class _Readings:
    """Run an action on several forms, to find every field that it reads for any choice."""

    def __init__(self, action: Action, *, full: bool) -> None:
        first = _read_by(action, _Reading(full))
        self._choices = {name: about.samples for name, about in first.fields.items() if about.samples[1:]}
        self._by_choice = {
            (name, sample): _read_by(action, _Reading(full, {name: sample}))
            for name, samples in self._choices.items()
            for sample in samples
        }
        self.optional = sorted(first.optional)
        self.fields: dict[str, _Field] = {}
        for reading in (first, *self._by_choice.values()):
            self.fields |= reading.fields

    def cases(self, name: str) -> str:
        """Return the choices with which a field is read, if not all."""
        cases = ""
        for choice, samples in self._choices.items():
            needing = [sample for sample in samples if name in self._by_choice[choice, sample].fields]
            if 0 < len(needing) < len(samples):
                cases += f", with {choice} {either(needing)}"
        return cases


def _fields(action: Action) -> Iterator[str]:
    """Yield a line for each field that the action reads for any choice."""
    full, bare = _Readings(action, full=True), _Readings(action, full=False)
    for name, about in (full.fields | bare.fields).items():
        if name not in full.fields:
            yield f"{name}: {about}, without {' and '.join(full.optional)}"
        elif name in bare.fields:
            yield f"{name}: {about}{full.cases(name)}"
        else:
            yield f"{name}: {full.fields[name].takes}{full.cases(name)}"


def _read_by(action: Action, reading: _Reading) -> _Reading:
    # A separate world: an action that forgets to finish its form changes no other.
    with suppress(_Finished, ControlMistake):
        answer = action(demo_world(), reading)
        if isinstance(answer, Coroutine):
            answer.send(None)
    return reading
