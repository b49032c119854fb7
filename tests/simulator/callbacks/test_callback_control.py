"""Callbacks and events over the control API."""

import base64
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from broker.simulator import AppId, Format, Whose, World, demo
from broker.simulator.crypto import CallbackKeys
from tests.simulator.callbacks.receiver import Receiver, running_receiver
from tests.simulator.caller import CHILD, SUPPLIER, Caller, Json

AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
SHARE = {"parent_corpid": demo.PARENT.corpid, "parent_agentid": demo.PARENT.agentid}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as receiver:
        yield receiver


@pytest.fixture
async def called(wecom: Caller, receiver: Receiver) -> Caller:
    assert (200, {}) == await wecom.control("POST", "callback", {"url": receiver.url})
    return wecom


async def test_an_event_is_sent_and_its_answer_given(called: Caller, receiver: Receiver) -> None:
    sent = {"event": "text", "corpid": CHILD["corpid"], "userid": "lisi", "text": "hi", "format": "json"}
    status, answer = await called.control("POST", "events", sent)
    (event,) = answer["events"]

    assert 200 == status
    assert 0 < event.pop("seconds") < 5
    assert {
        "event": "text",
        "userid": "lisi",
        **CHILD,
        "at": 1800000000,
        "accepted": True,
        "tries": 1,
        "status": 200,
        "body": "success",
        "error": "",
        "reply": "",
        "reply_problem": "",
    } == event
    assert "application/json" == receiver.got[0].content_type


async def test_many_events_are_sent_and_read_again_newest_first(called: Caller, receiver: Receiver) -> None:
    receiver.answers = [web.Response(status=500) for _ in range(4)]
    sent = {"event": "change_chain", "change_type": "corp_join", "count": 2}
    _, answer = await called.control("POST", "events", sent)
    _, read = await called.control("GET", "events")

    assert [(500, 4, False), (200, 1, True)] == [
        (event["status"], event["tries"], event["accepted"]) for event in answer["events"]
    ]
    assert answer["events"][::-1] == read["events"]


async def test_a_share_is_told_and_can_be_read(called: Caller, receiver: Receiver, world: World) -> None:
    await called.control("POST", "shares", {**SHARE, "corpid": "ww7new", "agentid": 7})
    await world.callbacks.outbox.settled()
    _, read = await called.control("GET", "events")

    assert ["share_agent_change"] == [event["event"] for event in read["events"]]
    assert "share_agent_change" == receiver.got[0].text("Event")


async def test_an_event_that_still_waits_is_shown_without_an_answer(
    called: Caller, receiver: Receiver, world: World
) -> None:
    world.callbacks.outbox.enter(world.callbacks.event("text"))
    _, read = await called.control("GET", "events")

    assert [(0, None, False)] == [
        (event["tries"], event["status"], event["accepted"]) for event in read["events"]
    ]


async def test_a_member_of_a_supplier_is_encrypted_and_the_agentid_may_be_chosen(called: Caller) -> None:
    sent = {**SUPPLIER, "event": "subscribe", "userid": "wangwu", "agentid": 42}
    _, answer = await called.control("POST", "events", sent)

    assert answer["events"][0]["userid"].startswith("wo")
    assert 42 == answer["events"][0]["agentid"]


async def test_all_settings_of_a_callback_are_taken(wecom: Caller, world: World) -> None:
    app = {"app_corpid": "ww1", "app_agentid": 5}
    settings = {
        "suite_id": "ww0suite",
        "format": "json",
        "receive_id": "child",
        "to_user_name": "child",
        "agent_id": "parent",
        "sealed_anew": False,
        "within_seconds": 0.5,
        "retries": 0,
        "pause_seconds": 1,
    }
    sent = {**app, "url": "http://127.0.0.1/", "token": "QDG6eK", "aes_key": AES_KEY, **settings}
    assert (200, {}) == await wecom.control("POST", "callback", sent)
    callback = world.callbacks.of(AppId("ww1", 5))

    assert CallbackKeys("QDG6eK", AES_KEY) == callback.keys
    assert ("ww0suite", Format.JSON, False) == (callback.suite_id, callback.body_format, callback.sealed_anew)
    assert (Whose.CHILD, Whose.CHILD, Whose.PARENT) == (
        callback.receive_id,
        callback.to_user_name,
        callback.agent_id,
    )
    assert (0.5, 0, 1) == (callback.within_seconds, callback.retries, callback.pause_seconds)

    assert (200, {"removed": True}) == await wecom.control("DELETE", "callback", app)
    assert (200, {"removed": False}) == await wecom.control("DELETE", "callback", app)


async def test_a_url_is_verified(called: Caller, receiver: Receiver) -> None:
    _, passed = await called.control("POST", "verify_url")
    receiver.answers = [web.Response(status=403, text="no")]
    _, failed = await called.control("POST", "verify_url", {"receive_id": "ww1"})

    assert (True, 200) == (passed["passed"], passed["status"])
    assert (False, 403, "no") == (failed["passed"], failed["status"], failed["body"])


async def test_keys_are_never_shown(called: Caller) -> None:
    await called.control("POST", "events", {"event": "text"})
    for name in ("events", "world", "calls"):
        _, shown = await called.control("GET", name)

        assert demo.CALLBACK_TOKEN not in json.dumps(shown)
        assert demo.CALLBACK_AES_KEY not in json.dumps(shown)


@pytest.mark.parametrize(
    ("method", "name", "body", "field"),
    [
        ("POST", "callback", {}, "url"),
        ("POST", "callback", {"url": "callback"}, "url"),
        ("POST", "callback", {"url": "http://h:99999999/"}, "url"),
        ("POST", "callback", {"url": "http://h/", "aes_key": "short"}, "aes_key"),
        ("POST", "callback", {"url": "http://h/", "token": ""}, "token"),
        ("POST", "callback", {"url": "http://h/", "receive_id": "ww1"}, "receive_id"),
        ("POST", "callback", {"url": "http://h/", "format": "yaml"}, "format"),
        ("POST", "callback", {"url": "http://h/", "retries": -1}, "retries"),
        ("POST", "callback", {"url": "http://h/", "timeout": 5}, "timeout"),
        ("POST", "callback", {"url": "http://h/", "app_corpid": "ww1"}, "app_agentid"),
        ("POST", "events", {}, "event"),
        ("POST", "events", {"event": "change_edition"}, "event"),
        ("POST", "events", {"event": "text", "count": 0}, "count"),
        ("POST", "events", {"event": "change_chain", "change_type": "join"}, "change_type"),
        ("POST", "events", {"event": "text", "size": 1}, "size"),
        ("POST", "events", {"event": "text"}, "app_corpid, app_agentid"),
        ("POST", "verify_url", {}, "app_corpid, app_agentid"),
    ],
)
async def test_a_mistake_is_answered_with_the_name_of_its_field(
    wecom: Caller, world: World, method: str, name: str, body: Json, field: str
) -> None:
    status, answer = await wecom.control(method, name, body)

    assert (400, field) == (status, answer["field"])
    assert [] == list(world.callbacks.outbox.deliveries)
    assert not world.callbacks.clear()


async def test_bytes_are_sent_in_place_of_a_message(called: Caller, receiver: Receiver) -> None:
    message = b"<xml><Content><![CDATA[\x1b[0;32m\xed\xa0\xbd\xed\xb8\x80\xe4\xbd]]></Content></xml>"
    sent = {"event": "text", "raw_base64": base64.b64encode(message).decode()}

    assert 200 == (await called.control("POST", "events", sent))[0]
    assert (message, demo.PARENT.corpid) == (receiver.got[0].message, receiver.got[0].receive_id)
    status, mistake = await called.control("POST", "events", {"event": "text", "raw_base64": "?"})
    assert (400, "raw_base64") == (status, mistake["field"])
