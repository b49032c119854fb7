"""What the broker sealed as a reply never comes in as a callback, whoever asked for it."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from wecom_broker.v1 import callback_service_pb2 as pb

from broker.protocol.callbacks.envelope import seal, sign
from broker.simulator import Format
from broker.simulator.demo import PARENT
from tests.integration.acting.acting import APP, CHILD, SUPPLIER, refusal_of
from tests.kit.callbacks.endpoint import CallbackEndpoint, callback_door, event, text
from tests.kit.callbacks.sender import DEMO_KEYS, Query

REPLY = "<xml><ToUserName>lisi</ToUserName><MsgType>text</MsgType><Content>hi</Content></xml>"
ROBOT_REPLY = json.dumps({"msgtype": "text", "text": {"content": "hi"}})
FORGED = event("open_approval_change", SUPPLIER).decode()
"""An event of another corp than the caller's."""


def rule(*corps: str) -> dict[str, Any]:
    return {"apps": [APP], "corps": list(corps), "actions": ["callback.open"]}


CALLERS = [
    {"name": name, "token_sha256": hashlib.sha256(f"token-of-{name}".encode()).hexdigest(), "allow": [allow]}
    for name, allow in {"own": rule(PARENT.corpid), "child": rule(CHILD), "all": rule("*")}.items()
]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[CallbackEndpoint]:
    async with callback_door(tmp_path, {"accept_empty_receive_id": True}, callers=CALLERS) as door:
        yield door


def call(door: CallbackEndpoint, rpc: str, caller: str = "all", **fields: Any) -> Any:
    request = getattr(pb, f"{rpc}Request")(app=APP, **fields)
    metadata = (("authorization", f"Bearer token-of-{caller}"),)
    return getattr(door.service, rpc)(request, metadata=metadata, timeout=10)


async def sealed_reply(door: CallbackEndpoint, message: str, **fields: Any) -> tuple[Query, bytes]:
    """Return a reply as one would post it to the callback URL."""
    body = (await call(door, "SealReply", message=message, **fields)).body
    if body.startswith(b"{"):
        found = json.loads(body)
        words = (found["msgsignature"], str(found["timestamp"]), found["nonce"])
        body = json.dumps({"encrypt": found["encrypt"]}).encode()
    else:
        parts = {part.tag: part.text or "" for part in fromstring(body)}
        words = (parts["MsgSignature"], parts["TimeStamp"], parts["Nonce"])
    return dict(zip(("msg_signature", "timestamp", "nonce"), words, strict=True)), body


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (REPLY, {}),
        (REPLY, {"corp_id": CHILD}),
        (REPLY, {"nonce": "1372623149"}),
        (ROBOT_REPLY, {}),
        (ROBOT_REPLY, {"nonce": "339907112"}),
        (ROBOT_REPLY, {"corp_id": CHILD}),
    ],
)
async def test_a_sealed_reply_is_refused_at_every_door(
    door: CallbackEndpoint, message: str, fields: dict[str, str]
) -> None:
    query, body = await sealed_reply(door, message, **fields)
    other_body = json.dumps({"encrypt": fromstring(body)[0].text}) if body[:1] == b"<" else ""

    for sent in (body, other_body.encode() or body):
        assert 400 == (await door.sender.post_envelope(query, sent, Format.XML))[0]
        refused = await refusal_of(call(door, "OpenEnvelope", body=sent, **query))
        assert ("DATA_REJECTED", {"problem": "format"}) == refused
    encrypted = json.loads(other_body or body)["encrypt"]
    refused = await refusal_of(call(door, "VerifyUrl", echostr=encrypted, **query))
    assert ("DATA_REJECTED", {"problem": "format"}) == refused
    assert {(APP, "format"): 2} == door.counted()


@pytest.mark.parametrize(
    "message",
    [
        FORGED,
        FORGED.replace("event", "text", 1),
        text(SUPPLIER).decode(),
        "<xml><SuiteId>dk1</SuiteId><InfoType>suite_ticket</InfoType><SuiteTicket>t</SuiteTicket></xml>",
        "<xml><MsgType>text</MsgType><InfoType>cancel_auth</InfoType><AuthCorpId>ww2</AuthCorpId></xml>",
        '{"msgtype":"event","event":{"eventtype":"enter_chat"}}',
        "1616140317555161061",
    ],
)
async def test_no_event_is_sealed(door: CallbackEndpoint, message: str) -> None:
    refused = await refusal_of(call(door, "SealReply", "own", message=message))

    assert ("INVALID_REQUEST", {"field": "message"}) == refused


@pytest.mark.parametrize(
    ("caller", "corp_id", "from_user_name", "is_allowed"),
    [
        ("own", "", PARENT.corpid, True),
        ("own", PARENT.corpid, PARENT.corpid, True),
        ("child", CHILD, CHILD, True),
        ("own", "", CHILD, False),
        ("own", "", SUPPLIER, False),
        ("child", CHILD, SUPPLIER, False),
        ("child", CHILD, PARENT.corpid, False),
        ("all", "", CHILD, False),
    ],
)
@pytest.mark.parametrize("name", ["FromUserName", "fromusername"])
async def test_a_reply_is_from_the_corp_that_rights_were_checked_for(
    door: CallbackEndpoint, caller: str, corp_id: str, from_user_name: str, is_allowed: bool, name: str
) -> None:
    message = f"<xml><{name}><![CDATA[{from_user_name}]]></{name}><MsgType>text</MsgType></xml>"
    sealing = call(door, "SealReply", caller, corp_id=corp_id, message=message)

    if is_allowed:
        assert (await sealing).body
    else:
        assert ("INVALID_REQUEST", {"field": "message"}) == await refusal_of(sealing)


@pytest.mark.parametrize(
    ("caller", "corp_id"), [("own", CHILD), ("child", ""), ("child", PARENT.corpid), ("child", SUPPLIER)]
)
async def test_nobody_replies_for_another_corp(door: CallbackEndpoint, caller: str, corp_id: str) -> None:
    refused = await refusal_of(call(door, "SealReply", caller, corp_id=corp_id, message=REPLY))

    assert "CALLER_NOT_ALLOWED" == refused[0]


async def test_the_corp_of_an_envelope_decides_before_anything_follows_from_it(
    door: CallbackEndpoint,
) -> None:
    query, body = door.sender.envelope(event("share_agent_change", PARENT.corpid, FromUserName="sys"))
    listed = door.world.log.calls("/cgi-bin/corpgroup/corp/list_app_share_info")
    refused = await refusal_of(call(door, "OpenEnvelope", "child", body=body, **query))

    assert "CALLER_NOT_ALLOWED" == refused[0]
    assert listed == door.world.log.calls("/cgi-bin/corpgroup/corp/list_app_share_info")


async def test_wecom_s_own_callback_with_the_same_content_comes_in(door: CallbackEndpoint) -> None:
    encrypted = seal(DEMO_KEYS, text(), PARENT.corpid, b"c41b64491c2468d0")
    query, _ = door.sender.envelope(text())
    query["msg_signature"] = sign(DEMO_KEYS.token, query["timestamp"], query["nonce"], encrypted)
    body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()

    assert 200 == (await door.sender.post_envelope(query, body))[0]
