"""A callback as an app's administrator configures it, with choices that WeCom leaves undocumented."""

from dataclasses import KW_ONLY, dataclass, replace
from enum import StrEnum
from typing import Self

from yarl import URL

from broker.simulator.crypto import CallbackKeys
from broker.simulator.world.corps import AppId
from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import ANSWERED_AT_ONCE, COMMANDS, OF_ROBOT, SYSTEM, EventKind

SUITE_ID = "ww0suite0000000001"
"""The suite of commands where a callback names none."""
_COMMAND_SECONDS = 1.0
_CORPID = "$CORPID$"


class Format(StrEnum):
    """Name the two forms of the body."""

    XML = "xml"
    JSON = "json"

    @property
    def content_type(self) -> str:
        """Return the Content-Type of a request in this form."""
        return {Format.XML: "text/xml", Format.JSON: "application/json"}[self]


@dataclass(frozen=True, slots=True)
class Address:
    """Hold the recipient of an envelope: `receive_id` is sealed inside, the rest is outside."""

    receive_id: str
    to_user_name: str
    agent_id: str = ""


class Whose(StrEnum):
    """Choose between the parent and the child of a child's event."""

    PARENT = "parent"
    CHILD = "child"

    def of(self, event: Event) -> AppId:
        """Return the chosen app; for the parent's own events both are the same."""
        return event.app if self is Whose.PARENT else event.origin


@dataclass(frozen=True, slots=True)
class Callback:
    """Hold where an app's events are sent, and how. Raises `ValueError` for an invalid URL.

    `receive_id`, `to_user_name` (the outer one) and `agent_id` are not documented for a child's events
    (wecom-api C5), nor is whether a repeat is `sealed_anew`, or how long WeCom waits before one.
    """

    url: str
    keys: CallbackKeys
    _: KW_ONLY
    suite_id: str = ""
    """Makes it the callback of a suite: share changes are sent as a suite's events."""
    robot: bool = False
    """Makes it the callback of a smart robot (智能机器人): JSON, sealed for nobody (wecom-api C2)."""
    body_format: Format = Format.XML
    receive_id: Whose = Whose.PARENT
    to_user_name: Whose = Whose.PARENT
    agent_id: Whose = Whose.CHILD
    sealed_anew: bool = True
    within_seconds: float = 5.0
    retries: int = 3
    pause_seconds: float = 0.0

    def __post_init__(self) -> None:
        url = URL(self.url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"{self.url!r} is no http URL")

    def check(self, kind: EventKind) -> None:
        """Raise ValueError unless this callback gets events of this kind."""
        if self.robot and kind not in OF_ROBOT:
            raise ValueError(f"a robot is told of {' and '.join(sorted(OF_ROBOT, reverse=True))} only")

    def seconds_for(self, kind: EventKind) -> float:
        """Return the seconds within which an event has to be answered."""
        return min(self.within_seconds, _COMMAND_SECONDS) if kind in ANSWERED_AT_ONCE else self.within_seconds

    def suite(self) -> str:
        """Return the suite that commands are for."""
        return self.suite_id or SUITE_ID

    def at(self, corpid: str) -> Self:
        """Return the callback for one corp: its id takes the place of $CORPID$ in the URL."""
        return replace(self, url=self.url.replace(_CORPID, corpid))

    def agentid_in(self, event: Event) -> int:
        """Return the AgentID of a message."""
        return self.agent_id.of(event).agentid

    def address(self, event: Event) -> Address:
        """Return the recipient of an event's envelope."""
        if self.robot:
            return Address("", "")
        if event.kind in COMMANDS | SYSTEM:
            receive_id = event.receive_id or (event.suite_id if event.kind in COMMANDS else event.app.corpid)
            return Address(receive_id, receive_id)
        return Address(
            self.receive_id.of(event).corpid,
            self.to_user_name.of(event).corpid,
            str(self.agentid_in(event)),
        )
