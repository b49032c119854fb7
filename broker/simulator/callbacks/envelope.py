"""The envelope as WeCom sends it: sealed, signed, in XML or JSON (wecom-api C1, C2)."""

import json
from dataclasses import dataclass

from broker.simulator.callbacks.cdata import document
from broker.simulator.crypto import CallbackKeys
from broker.simulator.world.events.callback import Address, Format


@dataclass(frozen=True, slots=True)
class Post:
    """Hold what one POST carries."""

    query: dict[str, str]
    body: bytes
    content_type: str = Format.XML.content_type


def sealed_post(
    keys: CallbackKeys,
    message: bytes,
    address: Address,
    *,
    timestamp: str,
    nonce: str,
    random: bytes,
    body_format: Format = Format.XML,
) -> Post:
    """Seal and sign a message; `random` is `RANDOM_BYTES` long."""
    encrypted = keys.seal(message, _sendable(address.receive_id), random)
    body = _json(address, encrypted) if body_format is Format.JSON else _xml(address, encrypted)
    return Post(_query(keys, timestamp, nonce, encrypted), body, body_format.content_type)


def verification(
    keys: CallbackKeys, plaintext: str, receive_id: str, *, timestamp: str, nonce: str, random: bytes
) -> dict[str, str]:
    """Return the query of a verification of the URL (验证URL有效性)."""
    echostr = keys.seal(plaintext.encode(), _sendable(receive_id), random)
    return {**_query(keys, timestamp, nonce, echostr), "echostr": echostr}


def _sendable(text: str) -> str:
    # JSON and command lines can hold lone surrogates, which cannot be encoded.
    return text.encode(errors="replace").decode()


def _query(keys: CallbackKeys, timestamp: str, nonce: str, encrypted: str) -> dict[str, str]:
    signature = keys.sign(timestamp, nonce, encrypted)
    return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce}


def _xml(address: Address, encrypted: str) -> bytes:
    return document(ToUserName=address.to_user_name, AgentID=address.agent_id, Encrypt=encrypted).encode()


def _json(address: Address, encrypted: str) -> bytes:
    if not address.to_user_name:
        # A smart robot (智能机器人) gets nothing else.
        return json.dumps({"encrypt": encrypted}).encode()
    fields = {"tousername": address.to_user_name, "encrypt": encrypted, "agentid": address.agent_id}
    return json.dumps(fields, ensure_ascii=False).encode(errors="replace")
