"""`/callback/{app}`: what WeCom sends is verified, opened, written once, and answered in time."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from wecom_broker.v1 import event_service_pb2 as event_pb
from wecom_broker.v1 import target_pb2

from broker.simulator import AppId, BusinessType, Callback, Delay, EventKind, Format, HttpStatus
from broker.simulator.callbacks.sender import send_event
from broker.simulator.demo import CALLBACK_KEYS, PARENT
from broker.simulator.world.events.kinds import COMMANDS
from tests.integration.acting.acting import APP, CHILD, CHILD_AGENT, SUPPLIER, SUPPLIER_AGENT
from tests.kit.callbacks.attacks import http, knock
from tests.kit.callbacks.endpoint import CallbackEndpoint, callback_door, event, text
from tests.kit.machine import busy
from tests.kit.time_bounds import check_took
from tests.vectors import Vector, cases

LIST = "corpgroup/corp/list_app_share_info"
ACCEPTED = (200, "success")
ANSWERED_WITHIN = 5.0
"""WeCom drops the connection then (wecom-api C1)."""
CORP_GROUP = target_pb2.SHARE_KIND_CORP_GROUP
SUPPLY_CHAIN = target_pb2.SHARE_KIND_SUPPLY_CHAIN
UNSPECIFIED = target_pb2.SHARE_KIND_UNSPECIFIED


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[CallbackEndpoint]:
    async with callback_door(tmp_path) as door:
        yield door


async def written(door: CallbackEndpoint, *messages: bytes, **options: Any) -> list[event_pb.Event]:
    """Post the messages, each of which has to be accepted, and return what the log has."""
    for message in messages:
        assert ACCEPTED == (await door.sender.post(message, **options))[:2]
    return await door.log()


# --- published vectors


def published(vector: Vector) -> dict[str, Any]:
    """Return the tables of an app with the vector's keys."""
    inputs = vector["inputs"]
    callback = {"token": inputs["token"], "aes_key": inputs["encoding_aes_key"], "max_age_seconds": 0}
    app = {"name": APP, "corp_id": inputs["receive_id"], "agent_id": 218, "secret": "x", "callback": callback}
    return {"apps": [app]}


@pytest.mark.parametrize(**cases("callback_verify_url"))
@pytest.mark.parametrize(
    "encode", [quote, lambda word: quote(word, safe="/+="), lambda word: quote(word, safe="")]
)
async def test_a_published_verification_is_answered_with_the_plaintext_and_nothing_else(
    tmp_path: Path, vector: Vector, encode: Any
) -> None:
    async with callback_door(tmp_path, **published(vector)) as door:
        inputs = vector["inputs"]
        names = ("msg_signature", "timestamp", "nonce", "echostr")
        query = "&".join(f"{name}={encode(inputs[name])}" for name in names)
        async with busy() as machine:
            answer = await knock(door.broker.http_port, http("GET", query=query))
        head, _, body = answer.answer.partition(b"\r\n\r\n")

        assert (200, vector["expected"]["plaintext"].encode()) == (answer.status, body)
        assert f"content-length: {len(body)}".encode() in head.lower()
        assert b"content-type: text/plain" in head.lower()
        check_took(answer.seconds - machine.seconds, 1)


@pytest.mark.parametrize(**cases("callback_decrypt_xml"))
async def test_a_published_message_is_in_the_log_byte_by_byte(tmp_path: Path, vector: Vector) -> None:
    async with callback_door(tmp_path, **published(vector)) as door:
        inputs = vector["inputs"]
        query = {name: inputs[name] for name in ("msg_signature", "timestamp", "nonce")}
        body = inputs["body"].encode()
        first = await door.sender.post_envelope(query, body)
        again = await door.sender.post_envelope(query, body)
        found = await anext(aiter(door.observe()))

        assert [ACCEPTED, ACCEPTED] == [first[:2], again[:2]]
        assert {(APP, "accepted"): 1, (APP, "repeated"): 1} == door.counted()
        assert vector["expected"]["plaintext"] == found.xml
        assert ("mycreate", "text", inputs["receive_id"]) == (found.user_id, found.event_type, found.corp_id)
        assert 1409659813 == found.create_time.seconds


@pytest.mark.parametrize(**cases("callback_negative"))
async def test_a_published_message_for_another_receiver_is_refused(tmp_path: Path, vector: Vector) -> None:
    async with callback_door(tmp_path, **published(vector)) as door:
        inputs = vector["inputs"]
        query = {name: inputs[name] for name in ("msg_signature", "timestamp", "nonce")}
        answer = await door.sender.post_envelope(query, inputs["body"].encode())

        assert (403, "refused\n") == answer[:2]
        assert {(APP, "receive_id"): 1} == door.counted()


# --- whose it is


async def test_an_event_of_a_child_in_each_kind_of_share_has_its_fields_filled(
    door: CallbackEndpoint,
) -> None:
    group = event("enter_agent", CHILD, AgentID=CHILD_AGENT, EventKey="")
    chain = text(SUPPLIER, FromUserName="encrypted_user", AgentID=SUPPLIER_AGENT)
    own = event("subscribe", PARENT.corpid, FromUserName="zhangsan", AgentID=PARENT.agentid)
    before = time.time()
    first, second, third = await written(door, group, chain, own)

    assert (CHILD, CORP_GROUP, CHILD_AGENT, "lisi") == facts(first)
    assert (SUPPLIER, SUPPLY_CHAIN, SUPPLIER_AGENT, "encrypted_user") == facts(second)
    assert (PARENT.corpid, UNSPECIFIED, PARENT.agentid, "zhangsan") == facts(third)
    assert ["enter_agent", "text", "subscribe"] == [found.event_type for found in (first, second, third)]
    assert [group, chain, own] == [found.xml.encode() for found in (first, second, third)]
    assert {"ToUserName": CHILD, "Event": "enter_agent", "EventKey": ""}.items() <= first.fields.items()
    assert str(first.create_time.seconds) == first.fields["CreateTime"]
    assert before - 1 <= first.receive_time.seconds <= time.time()
    assert [False] * 3 == [found.corp_unknown for found in (first, second, third)]
    assert [APP] * 3 == [found.app for found in (first, second, third)]
    assert first.event_id < second.event_id < third.event_id


def facts(found: event_pb.Event) -> tuple[str, Any, int, str]:
    return found.corp_id, found.share_kind, found.agent_id, found.user_id


async def test_the_agent_id_inside_may_be_the_childs_or_the_parents(door: CallbackEndpoint) -> None:
    found = await written(
        door, *(event(AgentID=agent, EventKey=str(agent)) for agent in (CHILD_AGENT, PARENT.agentid))
    )

    assert [(CHILD, CORP_GROUP, CHILD_AGENT, "lisi")] * 2 == [facts(one) for one in found]


async def test_a_child_through_both_kinds_is_told_apart_by_its_agent_id_or_not_at_all(
    door: CallbackEndpoint,
) -> None:
    door.world.share(PARENT, AppId(CHILD, 777), BusinessType.SUPPLY_CHAIN)
    agents = (CHILD_AGENT, 777, PARENT.agentid)
    found = await written(door, *(event(AgentID=agent, EventKey=str(agent)) for agent in agents))

    kinds = [(one.share_kind, one.agent_id, one.corp_unknown) for one in found]
    assert [
        (CORP_GROUP, CHILD_AGENT, False),
        (SUPPLY_CHAIN, 777, False),
        (UNSPECIFIED, PARENT.agentid, False),
    ] == kinds


async def test_what_nobody_did_has_no_user(door: CallbackEndpoint) -> None:
    change = event("change_chain", PARENT.corpid, FromUserName="sys", ChangeType="remove_corp", AgentID=1)
    [found] = await written(door, change)

    assert ("", "change_chain", "remove_corp") == (found.user_id, found.event_type, found.change_type)


async def test_an_unknown_corp_is_listed_once_more_and_delivered_flagged(door: CallbackEndpoint) -> None:
    await written(door, text())
    listed = door.world.log.calls(LIST)
    found = await written(door, text("wwStranger", AgentID=5), text("wwStranger", AgentID=5))

    assert listed + len(BusinessType) == door.world.log.calls(LIST)
    assert [False, True, True] == [one.corp_unknown for one in found if one.fields["Content"] == "hello"]
    assert ("wwStranger", UNSPECIFIED, 5, "lisi") == facts(found[-1])


async def test_a_child_that_is_new_is_found_by_listing_again(door: CallbackEndpoint) -> None:
    await written(door, text())
    door.world.share(PARENT, AppId("ww3new000000000001", 55))
    *_, found = await written(door, text("ww3new000000000001"), receive_id="ww3new000000000001")

    assert ("ww3new000000000001", CORP_GROUP, 55, "lisi") == facts(found)
    assert not found.corp_unknown


@pytest.mark.parametrize(
    ("endpoint", "fault", "within"),
    [(LIST, Delay(3), 3.5), (LIST, HttpStatus(502), 1), ("*", HttpStatus(502), 1), ("*", Delay(30), 3.5)],
)
@pytest.mark.parametrize("warm", [True, False])
async def test_an_event_of_an_unknown_corp_is_taken_in_time_when_wecom_is_slow_or_away(
    door: CallbackEndpoint, endpoint: str, fault: Any, within: float, warm: bool
) -> None:
    if warm:
        await written(door, text())
    door.world.faults.add(endpoint, fault)
    async with busy() as machine:
        status, body, seconds = await door.sender.post(text("wwStranger"))
    *_, found = await door.log()

    assert (ACCEPTED, "wwStranger", True) == ((status, body), found.corp_id, found.corp_unknown)
    check_took(seconds - machine.seconds, within)


@pytest.mark.parametrize("receive_id", [PARENT.corpid, CHILD, "wwStranger"])
async def test_whoever_it_is_sealed_for_it_is_answered_in_time_when_wecom_hangs(
    door: CallbackEndpoint, receive_id: str
) -> None:
    await written(door, text())
    door.world.faults.add("*", Delay(30))
    async with busy() as machine:
        status, _, seconds = await door.sender.post(text("wwStranger"), receive_id=receive_id)

    assert {PARENT.corpid: 200, CHILD: 200, "wwStranger": 403}[receive_id] == status
    check_took(seconds - machine.seconds, ANSWERED_WITHIN - 1)


@pytest.mark.parametrize("body_format", Format)
async def test_every_kind_of_event_is_accepted_but_commands_to_suites(
    door: CallbackEndpoint, body_format: Format
) -> None:
    callback = Callback(door.sender.url, CALLBACK_KEYS, within_seconds=ANSWERED_WITHIN, retries=0)
    door.world.callbacks.set(callback)
    for kind in EventKind:
        [delivery] = await send_event(door.world, kind, CHILD, body_format=body_format)
        answer = delivery.attempts[-1].status, delivery.attempts[-1].body
        assert ((403, "refused\n") if kind in COMMANDS else ACCEPTED) == answer, kind


async def test_a_message_in_json_is_written_as_it_came(door: CallbackEndpoint) -> None:
    message = f'{{"tousername":"{CHILD}","fromusername":"lisi","msgtype":"text","msgid":9007199254740993}}'
    [found] = await written(door, message.encode(), body_format=Format.JSON)

    assert (CHILD, CORP_GROUP, CHILD_AGENT, "lisi") == facts(found)
    assert ("text", message, "9007199254740993") == (found.event_type, found.xml, found.fields["msgid"])


# --- for whom it is sealed


@pytest.mark.parametrize(
    ("receive_id", "switch", "accepted"),
    [
        (PARENT.corpid, True, True),
        (PARENT.corpid, False, True),
        (CHILD, True, True),
        (CHILD, False, False),
        (SUPPLIER, True, True),
        ("wwStranger", True, False),
        ("wwStranger", False, False),
        ("", True, False),
        (PARENT.corpid.upper(), True, False),
        (PARENT.corpid + " ", True, False),
    ],
)
async def test_it_is_for_the_parent_or_if_the_switch_says_so_for_a_known_child(
    tmp_path: Path, receive_id: str, switch: bool, accepted: bool
) -> None:
    async with callback_door(tmp_path, {"accept_child_receive_id": switch}) as door:
        answer = await door.sender.post(text(CHILD), receive_id=receive_id)

        assert (ACCEPTED if accepted else (403, "refused\n")) == answer[:2]
        assert {(APP, "accepted" if accepted else "receive_id"): 1} == door.counted()
        assert accepted is bool(await door.log())


async def test_a_verification_is_for_the_parent_only(door: CallbackEndpoint) -> None:
    await written(door, text())

    assert 200 == (await door.sender.verify())[0]
    assert [403, 403] == [
        (await door.sender.verify(receive_id=receive_id))[0] for receive_id in (CHILD, "wwStranger")
    ]


# --- when


@pytest.mark.parametrize(
    ("max_age", "ago", "status"),
    [
        (600, 0, 200),
        (600, 590, 200),
        (600, -590, 200),
        (600, 610, 403),
        (600, -610, 403),
        (30, 40, 403),
        (0, 10**9, 200),
        (0, -(10**9), 200),
        (10**9, 10**8, 200),
    ],
)
async def test_a_timestamp_is_bounded_both_ways_unless_that_is_off(
    tmp_path: Path, max_age: int, ago: int, status: int
) -> None:
    async with callback_door(tmp_path, {"max_age_seconds": max_age}) as door:
        timestamp = int(time.time()) - ago

        assert status == (await door.sender.post(text(), timestamp=timestamp))[0]
        assert status == (await door.sender.verify(timestamp=timestamp))[0]


@pytest.mark.parametrize("max_age", [0, 600, 10**9])
@pytest.mark.parametrize("timestamp", ["now", "-1", "1.5", "1e9", " 1", "0x10", "9" * 17, "9" * 5000, "١٢٣"])
async def test_what_is_no_number_of_seconds_is_never_a_timestamp(
    tmp_path: Path, max_age: int, timestamp: str
) -> None:
    async with callback_door(tmp_path, {"max_age_seconds": max_age}) as door:
        answers = [await door.sender.post(text(), timestamp=timestamp)]
        answers.append(await door.sender.verify(timestamp=timestamp))
        status = 400 if len(timestamp) > 1024 else 403

        assert [(status, "refused\n")] * 2 == [answer[:2] for answer in answers]


async def test_a_number_beyond_all_time_is_taken_only_where_time_is_not_looked_at(tmp_path: Path) -> None:
    for max_age, status in ((0, 200), (10**9, 403)):
        folder = tmp_path / str(max_age)
        folder.mkdir()
        async with callback_door(folder, {"max_age_seconds": max_age}) as door:
            assert status == (await door.sender.post(text(), timestamp="9" * 16))[0]


# --- once


@pytest.mark.parametrize("max_age", [0, 600])
async def test_a_repeat_is_acknowledged_again_and_written_once(tmp_path: Path, max_age: int) -> None:
    async with callback_door(tmp_path, {"max_age_seconds": max_age}) as door:
        for message in (text(), event()):
            same = door.sender.envelope(message)
            answers = [await door.sender.post_envelope(*same) for _ in range(3)]
            # As WeCom may repeat it: sealed, signed and dated anew.
            answers += [
                await door.sender.post(message, timestamp=int(time.time()) - 5),
                await door.sender.post(message, nonce="another"),
                await door.sender.post(message, body_format=Format.JSON),
            ]
            assert {ACCEPTED} == {answer[:2] for answer in answers}
        found = await door.log()

        assert ["text", "enter_agent"] == [one.event_type for one in found]
        assert {(APP, "accepted"): 3, (APP, "repeated"): 10} == door.counted()


async def test_of_repeats_at_the_same_time_one_is_written(door: CallbackEndpoint) -> None:
    message = text()
    answers = await asyncio.gather(*(door.sender.post(message) for _ in range(50)))

    assert {ACCEPTED} == {answer[:2] for answer in answers}
    assert 1 == len(await door.log())
    assert 49 == door.counted()[APP, "repeated"]


async def test_what_differs_in_any_field_is_no_repeat(door: CallbackEndpoint) -> None:
    created = int(time.time())
    messages = [
        event("enter_agent", CreateTime=created),
        event("enter_agent", CreateTime=created, EventKey="menu"),
        event("enter_agent", CreateTime=created, FromUserName="wangwu"),
        event("enter_agent", "ww1child000000002", CreateTime=created),
        event("subscribe", CreateTime=created),
        event("enter_agent", CreateTime=created + 1),
        event("change_chain", CreateTime=created, ChangeType="corp_join"),
        event("change_chain", CreateTime=created, ChangeType="remove_corp"),
        text(MsgId=1, CreateTime=created),
        text(MsgId=2, CreateTime=created),
        text("ww1child000000002", MsgId=1, CreateTime=created),
    ]
    found = await written(door, *messages)

    assert messages == [one.xml.encode() for one in found]
