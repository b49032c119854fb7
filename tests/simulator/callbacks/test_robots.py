"""A smart robot (智能机器人): JSON sealed for nobody, and so is the answer (wecom-api C2)."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import web

from broker.simulator import Callback, EventKind, Format, World, demo, send_event, verify_url
from tests.simulator.callbacks.receiver import Receiver, running_receiver
from tests.simulator.caller import Caller

KEYS = demo.CALLBACK_KEYS


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as receiver:
        yield receiver


@pytest.fixture
def callback(world: World, receiver: Receiver) -> Callback:
    callback = Callback(receiver.url, KEYS, robot=True)
    world.callbacks.set(callback)
    return callback


class Robot(Receiver):
    """Answer with a passive reply; a test may spoil what it is sealed for, and what stands outside."""

    receive_id = ""
    outside: dict[str, object]

    async def handle(self, request: web.Request) -> web.Response:
        await super().handle(request)
        message = json.dumps({"msgtype": "stream", "stream": {"id": "1", "content": "好的"}}).encode()
        encrypted = KEYS.seal(message, self.receive_id, b"r" * 16)
        words: dict[str, object] = {
            "timestamp": 1_800_000_000,
            "nonce": request.query["nonce"],
            **self.outside,
        }
        signature = KEYS.sign(str(words["timestamp"]), str(words["nonce"]), encrypted)
        return web.json_response({"encrypt": encrypted, "msgsignature": signature, **words})


@pytest.fixture
async def robot(world: World) -> AsyncIterator[Robot]:
    async with running_receiver(Robot) as robot:
        assert isinstance(robot, Robot)
        robot.outside = {}
        world.callbacks.set(Callback(robot.url, KEYS, robot=True))
        yield robot


async def test_a_text_is_json_sealed_for_nobody(world: World, receiver: Receiver, callback: Callback) -> None:
    (delivery,) = await send_event(world, "text", text="hi")
    got = receiver.got[0]
    message = json.loads(got.message)

    assert delivery.accepted
    assert ("", "", "", "application/json") == (
        got.receive_id,
        got.to_user_name,
        got.agent_id,
        got.content_type,
    )
    assert message.pop("msgid")
    assert message.pop("response_url").startswith("https://")
    assert {
        "aibotid": "aib-demo",
        "chattype": "single",
        "from": {"userid": "zhangsan"},
        "msgtype": "text",
        "text": {"content": "hi"},
    } == message


async def test_somebody_opens_the_chat(world: World, receiver: Receiver, callback: Callback) -> None:
    await send_event(world, "enter_agent")
    message = json.loads(receiver.got[0].message)

    assert ("event", {"eventtype": "enter_chat", "enter_chat": {}}) == (message["msgtype"], message["event"])
    assert (1_800_000_000, {"userid": "zhangsan"}) == (message["create_time"], message["from"])


async def test_the_outside_is_the_encrypted_text_alone(
    world: World, receiver: Receiver, callback: Callback
) -> None:
    world.callbacks.set(replace(callback, body_format=Format.XML))
    await send_event(world, "text")

    assert ["encrypt"] == list(json.loads(receiver.got[0].body))


async def test_the_url_is_verified_for_nobody(world: World, receiver: Receiver, callback: Callback) -> None:
    assert (await verify_url(world)).passed
    assert [""] == receiver.verified_for


async def test_a_reply_sealed_for_nobody_is_opened(world: World, robot: Robot) -> None:
    (delivery,) = await send_event(world, "text")
    attempt = delivery.attempts[0]

    assert delivery.accepted
    assert ("好的", "") == (json.loads(attempt.reply)["stream"]["content"], attempt.reply_problem)


@pytest.mark.parametrize(
    ("receive_id", "outside", "problem"),
    [
        (demo.PARENT.corpid, {}, f"sealed for '{demo.PARENT.corpid}', not for ''"),
        ("", {"nonce": "another"}, "the nonce is not the callback's"),
        ("", {"msgsignature": "0" * 40}, "the signature is wrong"),
        ("", {"encrypt": "AAAA"}, "the signature is wrong"),
    ],
)
async def test_a_reply_that_wecom_would_drop_says_why(
    world: World, robot: Robot, receive_id: str, outside: dict[str, object], problem: str
) -> None:
    robot.receive_id, robot.outside = receive_id, outside
    (delivery,) = await send_event(world, "text")

    assert ("", problem) == (delivery.attempts[0].reply, delivery.attempts[0].reply_problem)


async def test_an_app_s_reply_is_opened_too(world: World, receiver: Receiver, callback: Callback) -> None:
    world.callbacks.set(replace(callback, robot=False))
    encrypted = KEYS.seal(b"<xml>hi</xml>", demo.PARENT.corpid, b"r" * 16)
    signature = KEYS.sign("1", "2", encrypted)
    receiver.answers = [
        web.Response(
            text=f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt><MsgSignature>{signature}</MsgSignature>"
            "<TimeStamp>1</TimeStamp><Nonce><![CDATA[2]]></Nonce></xml>"
        )
    ]
    (delivery,) = await send_event(world, "text")

    assert ("<xml>hi</xml>", "") == (delivery.attempts[0].reply, delivery.attempts[0].reply_problem)


@pytest.mark.parametrize(
    "body",
    ["success", "", "{}", "<xml/>", "<xml", "{", '["encrypt"]'],
)
async def test_an_answer_without_a_reply_has_none(
    world: World, receiver: Receiver, callback: Callback, body: str
) -> None:
    receiver.answers = [web.Response(text=body)]
    (delivery,) = await send_event(world, "text")

    assert ("", "") == (delivery.attempts[0].reply, delivery.attempts[0].reply_problem)


async def test_a_robot_is_told_of_nothing_else(world: World, receiver: Receiver, callback: Callback) -> None:
    with pytest.raises(ValueError, match="text and enter_agent only"):
        await send_event(world, EventKind.SUBSCRIBE)
    world.unshare(demo.PARENT, next(iter(world.shares)).child)

    assert [] == list(world.callbacks.outbox.deliveries)


async def test_a_robot_is_set_and_asked_by_the_control_api(wecom: Caller, robot: Robot) -> None:
    assert 200 == (await wecom.control("POST", "callback", {"url": robot.url, "robot": True}))[0]
    _, answer = await wecom.control("POST", "events", {"event": "text", "text": "hi"})
    (event,) = answer["events"]

    assert ("好的", "") == (json.loads(event["reply"])["stream"]["content"], event["reply_problem"])
    status, mistake = await wecom.control("POST", "events", {"event": "subscribe"})
    assert (400, "event") == (status, mistake["field"])
