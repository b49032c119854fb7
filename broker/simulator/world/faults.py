"""The faults: what can go wrong with a call.

A fault that takes effect spoils only the answer: the endpoint has done its work, a code is spent.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


class JunkKind(Enum):
    """Name the kinds of invalid bodies."""

    HTML = "html"
    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before going on; the only fault after which the call is still answered.

    On the way back, the answer is made when the call arrives: what it grants may have ended meanwhile.
    """

    seconds: float
    on_the_way_back: bool = False
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
    """Answer 200 with an invalid body."""

    kind: JunkKind = JunkKind.HTML
    takes_effect: bool = False


Fault = Delay | Errcode | HttpStatus | Reset | Truncated | Hang | Junk
