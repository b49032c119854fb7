"""智能机器人: JSON, sealed for nobody (doc 101033), taken by apps whose configuration says so."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from wecom_broker.v1 import callback_service_pb2 as pb
from wecom_broker.v1 import event_service_pb2 as event_pb

from broker.protocol.callbacks.envelope import check_signature, open_sealed
from broker.simulator import Format
from broker.simulator.demo import PARENT
from tests.integration.acting.acting import APP, reason_of
from tests.kit.callbacks.attacks import query_of, sealed
from tests.kit.callbacks.endpoint import CallbackEndpoint, callback_door
from tests.kit.callbacks.sender import DEMO_KEYS
from tests.kit.callbacks.vectors import ROBOT, ROBOT_SEALED

MESSAGE = {
    "msgid": "m-5f2c",
    "aibotid": "aib-7Qd",
    "chatid": "wr1",
    "chattype": "group",
    "from": {"userid": "T12345"},
    "response_url": "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=1",
    "msgtype": "text",
    "text": {"content": "hi"},
}
EVENT = {
    "msgid": "m-6a1d",
    "create_time": 1763020803,
    "aibotid": "aib-7Qd",
    "chattype": "single",
    "from": {"userid": "T12345"},
    "msgtype": "event",
    "event": {"eventtype": "enter_chat"},
}
REPLY = json.dumps(
    {"msgtype": "stream", "stream": {"id": "1", "finish": True, "content": "你好"}}, ensure_ascii=False
)
XML_REPLY = "<xml><MsgType>text</MsgType><Content>hi</Content></xml>"

ACCEPTED = (200, "success")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[CallbackEndpoint]:
    async with callback_door(tmp_path, {"accept_empty_receive_id": True}) as door:
        yield door


async def posted(door: CallbackEndpoint, message: dict[str, Any]) -> tuple[int, str]:
    body = json.dumps(message).encode()
    return (await door.sender.post(body, receive_id="", body_format=Format.JSON))[:2]


async def received(door: CallbackEndpoint, message: dict[str, Any]) -> event_pb.Event:
    assert ACCEPTED == await posted(door, message)
    [found] = await door.log()
    return found


async def test_a_message_is_an_event_of_the_app_s_own_corp(door: CallbackEndpoint) -> None:
    found = await received(door, MESSAGE)

    assert (PARENT.corpid, PARENT.agentid, "T12345", "text") == (
        found.corp_id,
        found.agent_id,
        found.user_id,
        found.event_type,
    )
    assert not found.corp_unknown
    assert {
        "msgid": "m-5f2c",
        "aibotid": "aib-7Qd",
        "chatid": "wr1",
        "chattype": "group",
        "from": "",
        "from.userid": "T12345",
        "response_url": MESSAGE["response_url"],
        "msgtype": "text",
        "text": "",
        "text.content": "hi",
    } == found.fields
    assert MESSAGE == json.loads(found.xml)


async def test_an_event_has_its_own_name_and_time(door: CallbackEndpoint) -> None:
    found = await received(door, EVENT)

    assert ("enter_chat", "T12345", 1763020803) == (
        found.event_type,
        found.user_id,
        found.create_time.seconds,
    )


async def test_a_repeat_is_written_once_and_another_s_message_too(door: CallbackEndpoint) -> None:
    other = {**MESSAGE, "from": {"userid": "T54321"}}
    again = {**MESSAGE, "response_url": "https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code=2"}
    assert {ACCEPTED} == {await posted(door, message) for message in (MESSAGE, again, MESSAGE, other)}

    assert ["T12345", "T54321"] == [found.user_id for found in await door.log()]


async def test_the_vector_for_no_receiver_passes(tmp_path: Path) -> None:
    callback = {
        "token": "QDG6eK",
        "aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
        "max_age_seconds": 0,
        "accept_empty_receive_id": True,
    }
    async with callback_door(tmp_path, callback) as door:
        query = {
            "msg_signature": "6d25d465baeeab16ca5aa854b39d79369fefa2d4",
            "timestamp": "1763020803",
            "nonce": "339907112",
        }
        body = json.dumps({"encrypt": ROBOT_SEALED}).encode()
        assert ACCEPTED == (await door.sender.post_envelope(query, body, Format.JSON))[:2]
        found = await anext(aiter(door.observe()))

        assert ("T12345", "text", "hi") == (found.user_id, found.event_type, found.fields["text.content"])
        assert (PARENT.corpid, ROBOT.decode()) == (found.corp_id, found.xml)


async def test_the_url_is_verified(door: CallbackEndpoint) -> None:
    assert (200, "1616140317555161061") == (await door.sender.verify(receive_id=""))[:2]
    echostr = sealed(b"1616140317555161061", "")
    answer = await door.service.VerifyUrl(pb.VerifyUrlRequest(app=APP, echostr=echostr, **query_of(echostr)))
    assert b"1616140317555161061" == answer.plaintext


async def test_an_envelope_is_opened(door: CallbackEndpoint) -> None:
    query, body = door.sender.envelope(json.dumps(MESSAGE).encode(), receive_id="", body_format=Format.JSON)
    answer = await door.service.OpenEnvelope(pb.OpenEnvelopeRequest(app=APP, body=body, **query))

    assert ("T12345", PARENT.corpid, "hi") == (
        answer.event.user_id,
        answer.event.corp_id,
        answer.event.fields["text.content"],
    )


async def test_what_is_sealed_for_the_corp_is_taken_as_before(door: CallbackEndpoint) -> None:
    body = json.dumps(MESSAGE).encode()

    assert ACCEPTED == (await door.sender.post(body, body_format=Format.JSON))[:2]
    assert 403 == (await door.sender.post(body, receive_id="wwStranger", body_format=Format.JSON))[0]
    assert (200, 403) == tuple(
        [(await door.sender.verify(receive_id=to))[0] for to in (PARENT.corpid, "wwStranger")]
    )


async def test_without_the_setting_nothing_sealed_for_nobody_is_taken(tmp_path: Path) -> None:
    async with callback_door(tmp_path) as door:
        assert (403, "refused\n") == await posted(door, MESSAGE)
        assert 403 == (await door.sender.verify(receive_id=""))[0]
        assert {(APP, "receive_id"): 2} == door.counted()


# --- replies


def told(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    reason, metadata = reason_of(error)
    return reason, metadata["field"]


async def reply(door: CallbackEndpoint, message: str = REPLY, **options: str) -> bytes:
    request = pb.SealReplyRequest(app=APP, message=message, **options)
    return (await door.service.SealReply(request)).body


async def test_a_reply_is_json_for_nobody_with_the_nonce_of_the_callback(door: CallbackEndpoint) -> None:
    found = json.loads(await reply(door, nonce="1372623149"))

    assert ["encrypt", "msgsignature", "timestamp", "nonce"] == list(found)
    assert ("1372623149", int) == (found["nonce"], type(found["timestamp"]))
    check_signature(
        DEMO_KEYS, found["msgsignature"], str(found["timestamp"]), found["nonce"], found["encrypt"]
    )
    opened = open_sealed(DEMO_KEYS, found["encrypt"])
    assert (REPLY.encode(), "") == (opened.message, opened.receive_id)


async def test_a_reply_without_a_nonce_has_one_of_its_own(door: CallbackEndpoint) -> None:
    one, other = [json.loads(await reply(door))["nonce"] for _ in range(2)]

    assert one != other
    assert 16 == len(one)


async def test_a_reply_of_xml_is_for_the_corp_as_before(door: CallbackEndpoint) -> None:
    assert (await reply(door, XML_REPLY)).startswith(b"<xml><Encrypt>")


async def test_json_of_an_app_without_the_setting_is_for_the_corp_as_before(tmp_path: Path) -> None:
    async with callback_door(tmp_path) as door:
        assert (await reply(door)).startswith(b"<xml><Encrypt>")


@pytest.mark.parametrize("name", ["msgid", "aibotid", "from"])
async def test_what_would_read_as_a_callback_is_not_sealed(door: CallbackEndpoint, name: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reply(door, json.dumps({**json.loads(REPLY), name: MESSAGE[name]}))

    assert ("INVALID_REQUEST", "message") == told(refused.value)


@pytest.mark.parametrize("nonce", ["a b", "é", "1" * 64])
async def test_a_nonce_that_is_none_is_refused(door: CallbackEndpoint, nonce: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await reply(door, nonce=nonce)

    assert ("INVALID_REQUEST", "nonce") == told(refused.value)


async def test_a_reply_does_not_come_in_as_a_callback(door: CallbackEndpoint) -> None:
    found = json.loads(await reply(door, nonce="1"))
    query = {"msg_signature": found["msgsignature"], "timestamp": str(found["timestamp"]), "nonce": "1"}
    body = json.dumps({"encrypt": found["encrypt"]}).encode()

    assert 400 == (await door.sender.post_envelope(query, body, Format.JSON))[0]
    assert [] == await door.log()
