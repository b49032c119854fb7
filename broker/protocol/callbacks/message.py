"""The message in a callback: an event, or what a user wrote (wecom-api C4)."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from broker.protocol.callbacks.json import is_json, parse_json
from broker.protocol.callbacks.xml import parse_xml

UNKNOWN = "unknown"
EVENT_TYPE = re.compile(r"[A-Za-z0-9_]{1,64}")
CORP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
AGENT_ID = re.compile(r"[0-9]{1,18}")
SECONDS = re.compile(r"[1-9][0-9]{8,9}")
"""From 1973 to 2286; more digits would be milliseconds."""
LITERAL_CDATA = re.compile(r"!\[CDATA\[(.*)\]\]>?", re.DOTALL)
"""`![CDATA[ww1]]` without `<` and `>` is well-formed, and so the text of an element (wecom-api C4)."""
UNSPEAKABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and halves of characters: logs, terminals and protobuf do not bear them."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came. Its `repr` shows nothing: there are tickets and codes in some."""

    text: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    """Elements by name, trimmed; nested ones as "Outer.Inner", repeated ones joined by ","."""

    def word(self, name: str) -> str:
        """Return a field without what is left of a broken CDATA; "" if it is missing.

        If the name is not there, it is looked for in another case: products that send JSON write it so.
        """
        value = self.fields.get(name)
        if value is None:
            value = next((value for key, value in self.fields.items() if key.lower() == name.lower()), "")
        literal = LITERAL_CDATA.fullmatch(value)
        return literal[1].strip() if literal else value

    @property
    def to_user_name(self) -> str:
        """The corp, or the suite, that it is for; in a child's messages the child."""
        return self.word("ToUserName")

    @property
    def from_user_name(self) -> str:
        """Who did it; "sys" is WeCom itself."""
        return self.word("FromUserName")

    @property
    def event_type(self) -> str:
        """Event, or a suite's InfoType, or MsgType; "unknown" for what is no word.

        As WeCom spells it: a change of version is "change_editon", or "change_edition" (wecom-api C4).
        """
        if self.word("MsgType") == "event":
            name = self.word("Event")
        else:
            name = self.word("InfoType") or self.word("MsgType")
        return name if EVENT_TYPE.fullmatch(name) else UNKNOWN

    @property
    def change_type(self) -> str:
        """ChangeType, of events that have one."""
        return self.word("ChangeType")

    @property
    def agent_id(self) -> int:
        """AgentID, which suites write AgentId; 0 if it is missing."""
        number = self.word("AgentID")
        return int(number) if AGENT_ID.fullmatch(number) else 0

    @property
    def created(self) -> datetime | None:
        """When WeCom made it: CreateTime, or a suite's TimeStamp."""
        seconds = self.word("CreateTime") or self.word("TimeStamp")
        return datetime.fromtimestamp(int(seconds), UTC) if SECONDS.fullmatch(seconds) else None

    @property
    def message_id(self) -> str:
        """MsgId, of what a user wrote."""
        return self.word("MsgId")

    @property
    def corp_id(self) -> str:
        """The corp that it is about, as far as it says; "" if it does not.

        A suite's events have no ToUserName: AuthCorpId is who installed it, PaidCorpId who pays, and CorpId
        who shares.
        """
        words = map(self.word, ("ToUserName", "AuthCorpId", "PaidCorpId", "CorpId"))
        return next((word for word in words if CORP_ID.fullmatch(word)), "")


def read_message(plaintext: bytes) -> Message:
    """Read what was sealed, XML or JSON. Raises `EnvelopeRejected`."""
    root = parse_json(plaintext) if is_json(plaintext) else parse_xml(plaintext)
    return Message(plaintext.decode("utf-8-sig"), _fields(root))


def delivery_key(message: Message) -> str:
    """Return what is the same for a repeat of one delivery: 64 letters that tell nothing of what is in it.

    WeCom repeats what was not answered in time. Of what a user wrote MsgId tells, of events FromUserName,
    CreateTime, Event and ChangeType (wecom-api C1); all fields tell more, as two events of one second may
    differ in the others only.
    """
    what = [message.to_user_name, message.message_id] if message.message_id else dict(message.fields)
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _fields(root: Element) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    ahead = [(part.tag, part) for part in reversed(root)]
    while ahead:
        name, element = ahead.pop()
        text = UNSPEAKABLE.sub("\ufffd", element.text or "").strip()
        values = found.setdefault(UNSPEAKABLE.sub("\ufffd", name), [])
        if text or not len(element):
            values.append(text)
        ahead += [(f"{name}.{part.tag}", part) for part in reversed(element)]
    return {name: ",".join(values) for name, values in found.items()}
