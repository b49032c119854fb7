"""A callback of another time does not pass as a new one: timestamp and nonce cannot change places."""

import json
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from wecom_broker.v1 import callback_service_pb2 as pb

from broker.protocol.callbacks.envelope import other_times
from broker.simulator import Format
from broker.simulator.demo import PARENT
from tests.integration.acting.acting import APP, refusal_of
from tests.kit.callbacks.endpoint import CallbackEndpoint, callback_door, event, text
from tests.kit.callbacks.sender import Query

DAY, HOUR = 86_400, 3600


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[CallbackEndpoint]:
    async with callback_door(tmp_path, {"accept_empty_receive_id": True}) as door:
        yield door


def changed_over(query: Query) -> Query:
    return {**query, "timestamp": query["nonce"], "nonce": query["timestamp"]}


def robots(**fields: object) -> bytes:
    return json.dumps({"msgid": "m-1", "from": {"userid": "T1"}, "msgtype": "text", **fields}).encode()


@pytest.mark.parametrize("age", [2 * HOUR, DAY, 30 * DAY, 3000 * DAY])
@pytest.mark.parametrize("message", [text, event])
async def test_an_old_callback_with_timestamp_and_nonce_changed_over_is_refused(
    door: CallbackEndpoint, age: int, message: Callable[..., bytes]
) -> None:
    then = int(time.time()) - age
    sealed = message(CreateTime=then - 2)
    query, body = door.sender.envelope(sealed, timestamp=then, nonce=str(int(time.time()) + 60))

    assert 403 == (await door.sender.post_envelope(changed_over(query), body))[0]
    request = pb.OpenEnvelopeRequest(app=APP, body=body, **changed_over(query))
    refused = await refusal_of(door.service.OpenEnvelope(request))
    assert ("DATA_REJECTED", {"problem": "timestamp"}) == refused
    assert [] == await door.log()


@pytest.mark.parametrize("between", ["2", "9", "70", "999999"])
async def test_digits_cannot_move_between_nonce_and_timestamp(door: CallbackEndpoint, between: str) -> None:
    now, then = str(int(time.time())), str(int(time.time()) - DAY)
    envelopes = (
        door.sender.envelope(text(CreateTime=then), timestamp=then, nonce=between + now) for _ in range(100)
    )
    # What is sealed is sorted too: where it comes between the two, no digit can move.
    query, body = next(found for found in envelopes if re.search(rb"<Encrypt><!\[CDATA\[[A-Za-z]", found[1]))
    moved = {**query, "timestamp": now, "nonce": then + between}

    assert 403 == (await door.sender.post_envelope(moved, body))[0]
    assert {(APP, "timestamp"): 1} == door.counted()


async def test_a_robot_s_message_without_a_time_is_refused_for_two_days(door: CallbackEndpoint) -> None:
    now = int(time.time())
    query, body = door.sender.envelope(
        robots(), receive_id="", timestamp=now - DAY, nonce=str(now), body_format=Format.JSON
    )

    assert 403 == (await door.sender.post_envelope(changed_over(query), body, Format.JSON))[0]
    assert [] == await door.log()


@pytest.mark.parametrize(
    "nonce", ["1372623149", "263014780", "1811081856", "339907112", "917340552", "20481137", "558120946"]
)
@pytest.mark.parametrize("created", [0, -30, -2 * HOUR, -400 * DAY])
async def test_a_nonce_of_a_published_sample_passes_however_late_the_message_is(
    door: CallbackEndpoint, nonce: str, created: int
) -> None:
    now = int(time.time())
    for message, body_format in ((text(CreateTime=now + created), Format.XML), (robots(), Format.JSON)):
        answer = await door.sender.post(message, timestamp=now, nonce=nonce, body_format=body_format)
        assert 200 == answer[0]


@pytest.mark.parametrize("ago", [0, 1, 5 * HOUR, 400 * DAY])
async def test_a_new_message_passes_though_its_nonce_reads_as_a_time(
    door: CallbackEndpoint, ago: int
) -> None:
    now = int(time.time())
    answer = await door.sender.post(text(CreateTime=now), timestamp=now, nonce=str(now - ago))

    assert 200 == answer[0]


def test_other_times_are_those_of_the_same_signed_text() -> None:
    assert {1700000000} == other_times("1790000000", "1700000000")
    assert {1790000000} == other_times("1700000000", "1790000000")
    assert set() == other_times("1790000000", "1790000000")
    assert set() == other_times("1790000000", "263014780")
    assert {1780000000} == other_times("1790000000", "178000000099")
    assert {1790000001} == other_times("1700000000", "21790000001")
    assert set() == other_times("1790000000", "abc1700000000")
    assert set() == other_times("1790000000", "0700000000")


async def test_without_an_age_nothing_is_too_old(tmp_path: Path) -> None:
    async with callback_door(tmp_path, {"max_age_seconds": 0}) as door:
        query, body = door.sender.envelope(
            text(PARENT.corpid, CreateTime=1_600_000_000), timestamp=1_600_000_000, nonce="1700000000"
        )

        assert 200 == (await door.sender.post_envelope(changed_over(query), body))[0]
