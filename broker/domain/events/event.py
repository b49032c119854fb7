"""The events and messages (事件与消息) that WeCom sends in callbacks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from broker.domain.corps import ShareKind
from broker.domain.errors import InvalidRequest

SHARE_EVENTS = {
    "share_agent_change": ShareKind.CORP_GROUP,
    "share_chain_change": ShareKind.SUPPLY_CHAIN,
    "change_chain": ShareKind.SUPPLY_CHAIN,
}
"""Events after which a share list may have changed; they do not name the child (wecom-api C4, G15)."""


LONGEST_POSITION = 32
"""Twice what a position needs."""


class EnvelopeProblem(StrEnum):
    """Why a callback is refused."""

    FORMAT = "format"
    """Neither the XML nor the JSON that WeCom sends, or a part of it is missing."""
    SIGNATURE = "signature"
    TIMESTAMP = "timestamp"
    """Older, or further ahead, than the app allows."""
    ENCODING = "encoding"
    """Not base64, or not whole blocks."""
    PADDING = "padding"
    LENGTH = "length"
    """The message is shorter than its stated length."""
    RECEIVE_ID = "receive_id"
    """Sealed for somebody else."""
    SENDER = "sender"
    """Not one of WeCom's addresses."""
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class Event:
    """One event or message, with the corp and share that it belongs to."""

    app: str
    corp_id: str
    share_kind: ShareKind | None
    """None if it is unknown."""
    agent_id: int
    """The app's in that corp; 0 if it is unknown."""
    user_id: str
    event_type: str
    change_type: str
    create_time: datetime
    receive_time: datetime
    fields: Mapping[str, str]
    xml: str
    corp_unknown: bool = False
    """Whether the corp is neither the app's own nor in the share list, even after listing anew."""
    position: str = ""
    """Where it stands in the app's log; empty for an event that is in no log."""

    @property
    def event_id(self) -> str:
        """Return `app:position`; empty for an event that is in no log."""
        return event_id(self.app, self.position) if self.position else ""


def event_id(app: str, position: str) -> str:
    """Return the id of the event at a position of an app's log."""
    return f"{app}:{position}"


def app_and_position(field: str, given: str) -> tuple[str, str]:
    """Split an event's id. Raises `InvalidRequest`."""
    app, _, position = given.partition(":")
    milliseconds, _, number = position.partition("-")
    is_position = position.isascii() and milliseconds.isdigit() and number.isdigit()
    if not (app and is_position and len(position) <= LONGEST_POSITION):
        raise InvalidRequest(field, "is not the id of an event")
    return app, position
