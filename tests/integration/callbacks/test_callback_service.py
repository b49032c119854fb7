"""`CallbackService`: the same rules for services that keep a callback URL of their own."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from wecom_broker.v1 import callback_service_pb2 as pb
from wecom_broker.v1 import target_pb2

from broker.protocol.callbacks.envelope import check_signature, open_sealed
from broker.protocol.callbacks.outside import read_envelope
from broker.protocol.callbacks.xml import parse_xml
from broker.simulator import AppId, Delay, Format
from broker.simulator.demo import PARENT
from tests.integration.acting.acting import APP, CHILD, CHILD_AGENT, SUPPLIER, refusal_of
from tests.integration.callbacks.test_callbacks import LIST, published
from tests.kit.callbacks.attacks import BOMB, DEEP, EXTERNAL, MARK, query_of, sealed
from tests.kit.callbacks.endpoint import CallbackEndpoint, callback_door, event, text
from tests.kit.callbacks.sender import DEMO_KEYS, Query
from tests.kit.machine import busy
from tests.kit.processes.fleet import until
from tests.kit.time_bounds import check_took
from tests.vectors import Vector, cases

REPLY_TEXT = "<xml><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello]]></Content></xml>"
NEW = AppId("ww3new000000000001", 55)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[CallbackEndpoint]:
    async with callback_door(tmp_path) as door:
        yield door


def call(door: CallbackEndpoint, rpc: str, request: Message, caller: str = "") -> Any:
    metadata = (("authorization", f"Bearer token-of-{caller}"),) if caller else ()
    return getattr(door.service, rpc)(request, metadata=metadata, timeout=10)


def opening(query: Query, body: bytes, app: str = APP) -> pb.OpenEnvelopeRequest:
    return pb.OpenEnvelopeRequest(app=app, body=body, **query)


async def opened(door: CallbackEndpoint, message: bytes, caller: str = "", **options: Any) -> Any:
    request = opening(*door.sender.envelope(message, **options))
    return (await call(door, "OpenEnvelope", request, caller)).event


def verifying(receive_id: str = PARENT.corpid, **changed: str) -> pb.VerifyUrlRequest:
    echostr = sealed(b"1616140317555161061", receive_id)
    return pb.VerifyUrlRequest(**{"app": APP, "echostr": echostr, **query_of(echostr), **changed})


# --- published vectors


@pytest.mark.parametrize(**cases("callback_verify_url"))
async def test_a_published_verification_is_opened(tmp_path: Path, vector: Vector) -> None:
    async with callback_door(tmp_path, **published(vector)) as door:
        names = ("msg_signature", "timestamp", "nonce", "echostr")
        request = pb.VerifyUrlRequest(app=APP, **{name: vector["inputs"][name] for name in names})
        answer = await call(door, "VerifyUrl", request)

        assert vector["expected"]["plaintext"].encode() == answer.plaintext


@pytest.mark.parametrize(**cases("callback_decrypt_xml"))
async def test_a_published_envelope_is_opened_byte_by_byte(tmp_path: Path, vector: Vector) -> None:
    async with callback_door(tmp_path, **published(vector)) as door:
        inputs = vector["inputs"]
        query = {name: inputs[name] for name in ("msg_signature", "timestamp", "nonce")}
        found = (await call(door, "OpenEnvelope", opening(query, inputs["body"].encode()))).event

        assert vector["expected"]["plaintext"] == found.xml
        assert (inputs["receive_id"], "mycreate", "text", 218) == (
            found.corp_id,
            found.user_id,
            found.event_type,
            found.agent_id,
        )
        assert ("hello", "4561255354251345929") == (found.fields["Content"], found.fields["MsgId"])
        assert ("", 1409659813) == (found.event_id, found.create_time.seconds)


@pytest.mark.parametrize(**cases("callback_negative"))
async def test_a_published_envelope_for_another_is_rejected(tmp_path: Path, vector: Vector) -> None:
    async with callback_door(tmp_path, **published(vector)) as door:
        inputs = vector["inputs"]
        query = {name: inputs[name] for name in ("msg_signature", "timestamp", "nonce")}
        refused = await refusal_of(call(door, "OpenEnvelope", opening(query, inputs["body"].encode())))

        assert ("DATA_REJECTED", "receive_id") == (refused[0], refused[1]["problem"])


# --- opening


@pytest.mark.parametrize("body_format", Format)
async def test_an_opened_event_has_its_fields_filled_and_is_kept_nowhere(
    door: CallbackEndpoint, body_format: Format
) -> None:
    found = await opened(door, text(), body_format=body_format)

    assert (APP, CHILD, CHILD_AGENT, "lisi") == (found.app, found.corp_id, found.agent_id, found.user_id)
    assert (target_pb2.SHARE_KIND_CORP_GROUP, "") == (found.share_kind, found.event_id)
    assert [] == await door.log()


async def test_an_event_of_an_unknown_corp_is_opened_and_flagged(door: CallbackEndpoint) -> None:
    found = await opened(door, text("wwStranger"))

    assert ("wwStranger", True) == (found.corp_id, found.corp_unknown)


@pytest.mark.parametrize("name", ["app", "msg_signature", "timestamp", "nonce", "body"])
async def test_a_missing_field_of_an_envelope_is_named(door: CallbackEndpoint, name: str) -> None:
    request = opening(*door.sender.envelope(text()))
    request.ClearField(name)  # type: ignore[arg-type]

    assert ("INVALID_REQUEST", {"field": name}) == await refusal_of(call(door, "OpenEnvelope", request))


@pytest.mark.parametrize("name", ["app", "msg_signature", "timestamp", "nonce", "echostr"])
async def test_a_missing_field_of_a_verification_is_named(door: CallbackEndpoint, name: str) -> None:
    request = verifying(**{name: ""})

    assert ("INVALID_REQUEST", {"field": name}) == await refusal_of(call(door, "VerifyUrl", request))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"app": "no name!"}, "app"),
        ({"nonce": "1" * 1025}, "nonce"),
        ({"timestamp": "1" * 1025}, "timestamp"),
        ({"msg_signature": "1" * 1025}, "msg_signature"),
        ({"echostr": "A" * (256 * 1024 + 1)}, "echostr"),
        ({"app": "mute"}, "app"),
    ],
)
async def test_a_malformed_field_is_named(
    door: CallbackEndpoint, changed: dict[str, str], field: str
) -> None:
    refused = await refusal_of(call(door, "VerifyUrl", verifying(**changed)))

    assert ("INVALID_REQUEST", {"field": field}) == refused


@pytest.mark.parametrize("rpc", ["VerifyUrl", "OpenEnvelope", "SealReply"])
async def test_an_unknown_app_is_told(door: CallbackEndpoint, rpc: str) -> None:
    requests: dict[str, Message] = {
        "VerifyUrl": verifying(app="nobody"),
        "OpenEnvelope": opening(*door.sender.envelope(text()), app="nobody"),
        "SealReply": pb.SealReplyRequest(app="nobody", message=REPLY_TEXT),
    }

    assert ("UNKNOWN_APP", {"app": "nobody"}) == await refusal_of(call(door, rpc, requests[rpc]))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<xml>" + b"x" * 300_000, "size"),
        (b"\xff", "format"),
        (BOMB, "format"),
        (EXTERNAL, "format"),
        (DEEP, "format"),
        (b"{", "format"),
        (b"<xml><Encrypt>AAAA</Encrypt></xml>", "signature"),
    ],
)
async def test_a_strange_body_is_rejected_and_typed(
    door: CallbackEndpoint, body: bytes, problem: str
) -> None:
    query, _ = door.sender.envelope(text())

    assert ("DATA_REJECTED", {"problem": problem}) == await refusal_of(
        call(door, "OpenEnvelope", opening(query, body))
    )


@pytest.mark.parametrize(
    ("encrypted", "problem"),
    [
        ("!", "encoding"),
        ("AAAA", "encoding"),
        ("A" * 64, "padding"),
        (sealed(b"no xml"), "format"),
        (sealed(text(Content=MARK), "wwSomebodyElse"), "receive_id"),
    ],
    ids=["no base64", "half a block", "padding", "no xml", "for somebody else"],
)
async def test_what_is_signed_and_cannot_be_taken_is_rejected_and_typed(
    door: CallbackEndpoint, encrypted: str, problem: str
) -> None:
    body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()
    reason, metadata = await refusal_of(call(door, "OpenEnvelope", opening(query_of(encrypted), body)))

    assert ("DATA_REJECTED", problem) == (reason, metadata["problem"])
    assert MARK not in str(metadata)


async def test_an_old_envelope_is_rejected(door: CallbackEndpoint) -> None:
    request = opening(*door.sender.envelope(text(), timestamp=1))

    assert ("DATA_REJECTED", {"problem": "timestamp"}) == await refusal_of(
        call(door, "OpenEnvelope", request)
    )


async def test_a_caught_message_is_no_verification(door: CallbackEndpoint) -> None:
    encrypted = sealed(event())
    request = pb.VerifyUrlRequest(app=APP, echostr=encrypted, **query_of(encrypted))

    assert ("DATA_REJECTED", {"problem": "format"}) == await refusal_of(call(door, "VerifyUrl", request))


# --- sealing


async def unsealed(door: CallbackEndpoint, corp_id: str, message: str) -> tuple[bytes, str]:
    """Return what WeCom reads in a passive reply, after it checked the signature."""
    request = pb.SealReplyRequest(app=APP, corp_id=corp_id, message=message)
    body = (await call(door, "SealReply", request)).body
    words = {part.tag: part.text or "" for part in parse_xml(body.decode())}
    assert ["Encrypt", "MsgSignature", "TimeStamp", "Nonce"] == list(words)
    encrypted = read_envelope(body).encrypted
    check_signature(DEMO_KEYS, words["MsgSignature"], words["TimeStamp"], words["Nonce"], encrypted)
    found = open_sealed(DEMO_KEYS, encrypted)
    return found.message, found.receive_id


@pytest.mark.parametrize(
    ("corp_id", "receiver"),
    [("", PARENT.corpid), (PARENT.corpid, PARENT.corpid), (CHILD, CHILD), (SUPPLIER, SUPPLIER)],
)
async def test_a_reply_is_sealed_for_the_corp_and_signed(
    door: CallbackEndpoint, corp_id: str, receiver: str
) -> None:
    reply = "<xml><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好 ]]></Content></xml>\n"

    assert (reply.encode(), receiver) == await unsealed(door, corp_id, reply)


async def test_no_two_replies_are_the_same(door: CallbackEndpoint) -> None:
    request = pb.SealReplyRequest(app=APP, message=REPLY_TEXT)

    assert 10 == len({(await call(door, "SealReply", request)).body for _ in range(10)})


async def test_a_reply_to_an_unknown_child_is_not_sealed(door: CallbackEndpoint) -> None:
    request = pb.SealReplyRequest(app=APP, corp_id="wwStranger", message=REPLY_TEXT)

    refused = await refusal_of(call(door, "SealReply", request))
    assert ("APP_NOT_SHARED", {"app": APP, "corp_id": "wwStranger"}) == refused


@pytest.mark.parametrize(
    ("corp_id", "message", "field"),
    [
        ("", "", "message"),
        ("", "x" * (256 * 1024 + 1), "message"),
        ("no corp!", REPLY_TEXT, "corp_id"),
        ("x" * 200, REPLY_TEXT, "corp_id"),
    ],
)
async def test_a_malformed_field_of_a_reply_is_named(
    door: CallbackEndpoint, corp_id: str, message: str, field: str
) -> None:
    request = pb.SealReplyRequest(app=APP, corp_id=corp_id, message=message)

    assert ("INVALID_REQUEST", {"field": field}) == await refusal_of(call(door, "SealReply", request))


# --- shares stay true


@pytest.mark.parametrize("name", ["share_agent_change", "share_chain_change", "change_chain"])
async def test_an_opened_share_event_makes_the_broker_list_anew(door: CallbackEndpoint, name: str) -> None:
    await opened(door, text())
    listed = door.world.log.calls(LIST)
    await asyncio.gather(*(opened(door, event(name, PARENT.corpid, FromUserName="sys")) for _ in range(5)))
    await until(lambda: door.world.log.calls(LIST) > listed, within=5)

    # A burst is one listing, of the kind that changed.
    assert listed + 1 == door.world.log.calls(LIST)


async def test_a_child_that_an_opened_event_was_about_is_usable_at_once(door: CallbackEndpoint) -> None:
    await opened(door, text())
    door.world.share(PARENT, NEW)
    await opened(door, event("share_agent_change", PARENT.corpid, FromUserName="sys"))
    found = await opened(door, text(NEW.corpid), receive_id=NEW.corpid)

    assert (NEW.corpid, 55, False) == (found.corp_id, found.agent_id, found.corp_unknown)
    assert (REPLY_TEXT.encode(), NEW.corpid) == await unsealed(door, NEW.corpid, REPLY_TEXT)


async def test_opening_waits_no_longer_than_wecom_does(door: CallbackEndpoint) -> None:
    await opened(door, text())
    door.world.faults.add("*", Delay(30))
    began = time.monotonic()
    async with busy() as machine:
        found = await opened(door, text("wwStranger"))

    assert found.corp_unknown
    check_took(time.monotonic() - began - machine.seconds, 4)


# --- rights


def rule(*corps: str, action: str = "callback.open", app: str = APP) -> dict[str, Any]:
    return {"apps": [app], "corps": list(corps), "actions": [action]}


def digest_of(caller: str) -> str:
    return hashlib.sha256(f"token-of-{caller}".encode()).hexdigest()


RULES = {
    "all": [rule("*")],
    "own": [rule(PARENT.corpid)],
    "child": [rule(CHILD)],
    "mute": [rule("*", app="mute")],
    "subscriber": [rule("*", action="event.subscribe")],
    "nobody": [],
}
VERIFY, OWN, ITS_CHILD, OTHER, REPLY, REPLY_CHILD = range(6)


@pytest.mark.parametrize(
    ("caller", "may"),
    [
        ("all", {VERIFY, OWN, ITS_CHILD, OTHER, REPLY, REPLY_CHILD}),
        ("own", {VERIFY, OWN, REPLY}),
        ("child", {ITS_CHILD, REPLY_CHILD}),
        ("mute", set()),
        ("subscriber", set()),
        ("nobody", set()),
    ],
)
async def test_a_caller_opens_and_replies_for_the_corps_it_may_and_no_others(
    tmp_path: Path, caller: str, may: set[int]
) -> None:
    callers = [
        {
            "name": name,
            "token_sha256": hashlib.sha256(f"token-of-{name}".encode()).hexdigest(),
            "allow": allow,
        }
        for name, allow in RULES.items()
    ]
    async with callback_door(tmp_path, callers=callers) as door:
        calls = {
            VERIFY: call(door, "VerifyUrl", verifying(), caller),
            OWN: opened(door, text(PARENT.corpid), caller),
            ITS_CHILD: opened(door, text(CHILD), caller),
            OTHER: opened(door, text(SUPPLIER), caller),
            REPLY: call(door, "SealReply", pb.SealReplyRequest(app=APP, message=REPLY_TEXT), caller),
            REPLY_CHILD: call(
                door, "SealReply", pb.SealReplyRequest(app=APP, corp_id=CHILD, message=REPLY_TEXT), caller
            ),
        }
        for number, one in calls.items():
            if number in may:
                await one
            else:
                assert "CALLER_NOT_ALLOWED" == (await refusal_of(one))[0]


async def test_who_nobody_knows_opens_nothing(tmp_path: Path) -> None:
    callers = [{"name": "all", "token_sha256": digest_of("all"), "allow": [rule("*")]}]
    async with callback_door(tmp_path, callers=callers) as door:
        for caller in ("", "stranger"):
            assert "UNAUTHENTICATED" == (await refusal_of(opened(door, text(), caller)))[0]
        # WeCom needs no right: its signature is one.
        assert 200 == (await door.sender.post(text()))[0]


async def test_another_apps_keys_open_nothing(tmp_path: Path) -> None:
    async with callback_door(tmp_path, {"token": "OtherToken"}) as door:
        assert ("DATA_REJECTED", {"problem": "signature"}) == await refusal_of(opened(door, text()))
    async with callback_door(tmp_path, {"aes_key": "A" * 43}) as door:
        assert ("DATA_REJECTED", {"problem": "padding"}) == await refusal_of(opened(door, text()))
