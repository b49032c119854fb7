"""A passive reply (被动回复): what may be one, and how it is sealed so that it is never taken for a callback.

A reply and a callback are the same envelope under the same keys (wecom-api C2). What tells them apart is in
the 16 random bytes at the head of what is sealed: half of a reply's are a MAC of the other half. WeCom skips
them, and nobody can take the mark off without the EncodingAESKey. The nonce could not carry it: a robot
expects its own (doc 101033), and the parts of a signature are joined without a separator.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping

from broker.protocol.callbacks.envelope import RANDOM, CallbackKeys, seal, sign
from broker.protocol.callbacks.json import is_json
from broker.protocol.callbacks.message import Message

MARK = RANDOM // 2
"""Bytes: one of 2^64 callbacks of WeCom would be taken for a reply."""
PURPOSE = b"wecom-broker: passive reply"
XML_TYPES = frozenset(("text", "image", "voice", "video", "news", "update_button", "update_template_card"))
"""MsgType of a reply to a message or event (doc 90241)."""
ROBOT_TYPES = frozenset(("text", "stream", "template_card", "stream_with_template_card"))
"""msgtype of a reply to a 智能机器人 (doc 101031)."""
ROBOT_RESPONSE_TYPE = "update_template_card"
"""The response_type of a reply that has no msgtype."""
OF_CALLBACKS = frozenset(
    (
        *("msgid", "event", "eventkey", "changetype", "infotype", "servicecorpid", "suiteid", "suiteticket"),
        *("authcode", "permanentcode", "accesstoken", "authcorpid", "paidcorpid", "corpid"),
    )
)
"""Names of what callbacks say, and no reply does, in lower case."""
OF_ROBOTS = frozenset(("aibotid", "chatid", "chattype", "from", "response_url", "tousername", "fromusername"))
"""The same, of a robot's JSON alone."""


def mark(keys: CallbackKeys, random: bytes) -> bytes:
    """Return the random bytes of a reply: half of those given, and their MAC."""
    head = random[:MARK]
    purpose = hmac.digest(keys.aes_key, PURPOSE, hashlib.sha256)
    return head + hmac.digest(purpose, head, hashlib.sha256)[: RANDOM - MARK]


def is_marked(keys: CallbackKeys, random: bytes) -> bool:
    """Return whether a broker sealed a reply with these random bytes."""
    return hmac.compare_digest(mark(keys, random), random)


def sealed_reply(
    keys: CallbackKeys, message: bytes, receive_id: str, *, timestamp: int, nonce: str, random: bytes
) -> bytes:
    """Return the body of a reply: XML, sealed for a corp."""
    encrypted = seal(keys, message, receive_id, mark(keys, random))
    signature = sign(keys.token, str(timestamp), nonce, encrypted)
    return (
        f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt>"
        f"<MsgSignature><![CDATA[{signature}]]></MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp><Nonce><![CDATA[{nonce}]]></Nonce></xml>"
    ).encode()


def sealed_robot_reply(
    keys: CallbackKeys, message: bytes, *, timestamp: int, nonce: str, random: bytes
) -> bytes:
    """Return the body of a reply to a 智能机器人: JSON, sealed without a receiver (doc 101033)."""
    encrypted = seal(keys, message, "", mark(keys, random))
    signature = sign(keys.token, str(timestamp), nonce, encrypted)
    reply = {"encrypt": encrypted, "msgsignature": signature, "timestamp": timestamp, "nonce": nonce}
    return json.dumps(reply).encode()


def why_no_reply(message: Message) -> str:
    """Return what makes the message something else than a reply, in words for its sender; "" if it is one."""
    named = {name.partition(".")[0] for name in message.fields}
    if prefixed := sorted(name for name in named if ":" in name):
        # Who reads names without their prefix would take it for something else than we do.
        return f"has the field {prefixed[0]}, with a prefix: no reply has one"
    lower = {name.lower() for name in named}
    if len(lower) < len(named):
        return "has a field in two spellings"
    foreign = OF_CALLBACKS | OF_ROBOTS if is_json(message.text) else OF_CALLBACKS
    if found := sorted(lower & foreign):
        return f"has the field {found[0]}, which callbacks have: it is no reply"
    if is_json(message.text):
        return "" if _is_robot_type(message.fields) else "has no msgtype of a reply to a robot"
    kinds = ", ".join(sorted(XML_TYPES))
    return "" if message.word("MsgType") in XML_TYPES else f"has no MsgType of a reply: {kinds}"


def _is_robot_type(fields: Mapping[str, str]) -> bool:
    if "msgtype" in fields:
        return fields["msgtype"] in ROBOT_TYPES and "response_type" not in fields
    return fields.get("response_type") == ROBOT_RESPONSE_TYPE
