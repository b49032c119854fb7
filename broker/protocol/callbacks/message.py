"""The message in a callback: an event, or what a user wrote (wecom-api C4)."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from broker.protocol.callbacks.characters import REPLACEMENT, legal_text
from broker.protocol.callbacks.json import is_json, parse_json
from broker.protocol.callbacks.xml import legal_xml, parse_xml
from broker.protocol.legal_json import legal_json

UNKNOWN = "unknown"
EVENT_TYPE = re.compile(r"[A-Za-z0-9_]{1,64}")
CORP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
AGENT_ID = re.compile(r"[0-9]{1,18}")
SECONDS = re.compile(r"[1-9][0-9]{8,9}")
"""From 1973 to 2286; more digits would be milliseconds."""
LITERAL_CDATA = re.compile(r"!\[CDATA\[(.*)\]\]>?", re.DOTALL)
"""`![CDATA[ww1]]` without `<` and `>` is well-formed, and so the text of an element (wecom-api C4)."""
UNSPEAKABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and lone surrogates: logs, terminals and protobuf cannot carry them."""

OF_CALLBACKS = {"msgid", "aibotid", "from", "event", "tousername", "fromusername", "infotype"}
"""JSON callbacks have some of these fields; replies to a 智能机器人 have none (doc 101033)."""
OF_THE_DELIVERY = {"response_url"}
"""Fields that may differ between repeats: a robot's one-time URL for a later reply."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came, in legal text. Its `repr` shows nothing: some messages hold tickets and codes."""

    text: str = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)
    """Elements by name, trimmed; nested ones as "Outer.Inner", repeated ones joined by ","."""

    def word(self, name: str) -> str:
        """Return a field without the remains of a broken CDATA; "" if it is missing.

        A name that is missing is looked up in any case: products that send JSON write names in lower case.
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
        """Who caused it; "sys" is WeCom itself."""
        return self.word("FromUserName") or self.word("from.userid")

    @property
    def event_type(self) -> str:
        """Event (a robot's event.eventtype), a suite's InfoType, or MsgType; "unknown" if it is not a word.

        As WeCom spells it: a change of version is "change_editon", or "change_edition" (wecom-api C4).
        """
        if self.word("MsgType") == "event":
            name = self.word("Event") or self.word("event.eventtype")
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
        """When WeCom created it: CreateTime, a suite's TimeStamp, or a robot's create_time."""
        seconds = self.word("CreateTime") or self.word("TimeStamp") or self.word("create_time")
        return datetime.fromtimestamp(int(seconds), UTC) if SECONDS.fullmatch(seconds) else None

    @property
    def is_robot_reply(self) -> bool:
        """Whether it is JSON that only replies to a callback."""
        return is_json(self.text) and OF_CALLBACKS.isdisjoint(map(str.lower, self.fields))

    @property
    def is_command(self) -> bool:
        """Whether it has the form in which suites and providers are told something (指令回调)."""
        return bool(self.word("InfoType"))

    @property
    def corp_id(self) -> str:
        """The corp that it is about; "" if it does not say.

        Commands have no ToUserName, or the receiver's: see `named_corp_id`.
        """
        to_user_name = self.to_user_name
        return to_user_name if CORP_ID.fullmatch(to_user_name) else self.named_corp_id

    @property
    def named_corp_id(self) -> str:
        """The corp that a command is about; "" for suite_ticket, create_auth and reset_permanent_code.

        AuthCorpId is the corp that installed the suite, PaidCorpId the one that pays, and CorpId the one that
        shares.
        """
        words = map(self.word, ("AuthCorpId", "PaidCorpId", "CorpId"))
        return next((word for word in words if CORP_ID.fullmatch(word)), "")


def read_message(plaintext: bytes) -> Message:
    """Read what was sealed, XML or JSON. Raises `EnvelopeRejected`.

    Characters that are not legal are replaced, not refused: WeCom repeats a refused message three times, and
    then it is lost.
    """
    text = legal_text(plaintext)
    if is_json(text):
        text = legal_json(text)
        return Message(text, _fields(parse_json(text)))
    text = legal_xml(text)
    return Message(text, _fields(parse_xml(text)))


def delivery_key(message: Message) -> str:
    """Return a key that is the same for repeats of a delivery: 64 letters that reveal none of its content.

    WeCom repeats a delivery that was not answered in time, perhaps sealed anew. All fields count, though
    wecom-api C1 advises MsgId alone: messages of two people were seen to have the same one.
    """
    content = {name: value for name, value in message.fields.items() if name not in OF_THE_DELIVERY}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _fields(root: Element) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    ahead = [(part.tag, part) for part in reversed(root)]
    while ahead:
        name, element = ahead.pop()
        text = UNSPEAKABLE.sub(REPLACEMENT, element.text or "").strip()
        values = found.setdefault(UNSPEAKABLE.sub(REPLACEMENT, name), [])
        if text or not len(element):
            values.append(text)
        ahead += [(f"{name}.{part.tag}", part) for part in reversed(element)]
    return {name: ",".join(values) for name, values in found.items()}
