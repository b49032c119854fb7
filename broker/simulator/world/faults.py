"""Faults by script: what goes wrong, for which calls, how often.

A fault that takes effect spoils the answer only: the endpoint did its work, a code is spent.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from broker.simulator.world.paths import path_or_all


class JunkKind(Enum):
    """Name the bodies that are no answer."""

    HTML = "html"
    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before going on; the only fault after which the call is still answered."""

    seconds: float
    takes_effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Errcode:
    """Refuse with a code."""

    errcode: int
    errmsg: str = ""
    takes_effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class HttpStatus:
    """Answer as a broken gateway would."""

    status: int
    takes_effect: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection before an answer."""

    takes_effect: bool = False


@dataclass(frozen=True, slots=True)
class Truncated:
    """Take effect, then close in the middle of the answer."""

    takes_effect: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer: hold the connection until the client leaves."""

    takes_effect: bool = False


@dataclass(frozen=True, slots=True)
class Junk:
    """Answer 200 with a body that is no answer."""

    kind: JunkKind = JunkKind.HTML
    takes_effect: bool = False


Fault = Delay | Errcode | HttpStatus | Reset | Truncated | Hang | Junk


@dataclass(slots=True)
class FaultRule:
    """Hold one line of the script: skip `after` calls, then strike `times` (None: until cleared)."""

    path: str
    fault: Fault
    times: int | None
    after: int

    def concerns(self, path: str) -> bool:
        """Return whether the rule speaks of this endpoint."""
        return self.path in ("*", path)

    def pass_by(self) -> bool:
        """Count one of the calls to be spared; return whether it was."""
        self.after -= 1
        return self.after >= 0

    def strike(self) -> Fault:
        """Use the fault once."""
        if self.times is not None:
            self.times -= 1
        return self.fault


@dataclass(frozen=True, slots=True)
class Trouble:
    """Hold what one call has to suffer: a delay, then perhaps an end."""

    delay: float = 0.0
    end: Fault | None = None

    @property
    def name(self) -> str:
        """Name the trouble for the log."""
        return " ".join(["delay"] * bool(self.delay) + [type(self.end).__name__.lower()] * bool(self.end))


@dataclass(slots=True)
class FaultScript:
    """Keep the rules in the order they were added; delays add up, the first other fault ends the call."""

    rules: list[FaultRule] = field(default_factory=list)

    def add(self, endpoint: str, fault: Fault, *, times: int | None = None, after: int = 0) -> None:
        """Append a rule for one endpoint, or for "*". Raises ValueError."""
        self.rules.append(FaultRule(path_or_all(endpoint), fault, times, after))

    def clear(self, endpoint: str | None = None) -> None:
        """Drop every rule, or those written for one endpoint. Raises ValueError."""
        path = None if endpoint is None else path_or_all(endpoint)
        self.rules = [rule for rule in self.rules if path is not None and rule.path != path]

    def draw(self, path: str) -> Trouble:
        """Take the faults of one call off the script."""
        delay, end = 0.0, None
        for rule in self.rules:
            if not rule.concerns(path) or rule.pass_by():
                continue
            if isinstance(rule.fault, Delay):
                rule.strike()
                delay += rule.fault.seconds
            elif end is None:
                end = rule.strike()
        self.rules = [rule for rule in self.rules if rule.times != 0]
        return Trouble(delay, end)
