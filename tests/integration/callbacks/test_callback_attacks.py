"""The door for callbacks under attack: refused quickly, typed and counted, while WeCom is heard."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

import pytest

from broker.domain.events.event import EnvelopeProblem
from broker.simulator.demo import PARENT
from tests.kit.callbacks.attacks import MARK, Attack, attacks, http, knock, query_of, sealed, unsigned
from tests.kit.callbacks.endpoint import CallbackEndpoint, callback_door, event, text
from tests.kit.machine import busy
from tests.kit.processes.fleet import PATIENCE, until
from tests.kit.time_bounds import check_took

NAMES = [attack.name for attack in attacks()]
OUTCOMES = {"query", *EnvelopeProblem} - {EnvelopeProblem.SENDER}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[CallbackEndpoint]:
    async with callback_door(tmp_path) as door:
        yield door


def attack_named(name: str) -> Attack:
    """Return it freshly signed."""
    [found] = [attack for attack in attacks() if attack.name == name]
    return found


def test_attacks_are_told_apart_by_their_names() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert OUTCOMES <= {attack.outcome for attack in attacks()}


@pytest.mark.parametrize("name", NAMES)
async def test_an_attack_is_refused_quickly_typed_and_counted(door: CallbackEndpoint, name: str) -> None:
    attack = attack_named(name)
    async with busy() as machine:
        refusal = await knock(door.broker.http_port, attack.request)
    counted = door.counted()

    assert refusal.status in attack.statuses
    check_took(refusal.seconds - machine.seconds, 1)
    assert ({(attack.app, attack.outcome): 1} if attack.outcome else {}) == counted
    assert MARK.encode() not in refusal.answer
    if attack.outcome:
        assert refusal.answer.endswith(b"\r\n\r\nrefused\n")
    assert [] == await door.log()


async def test_no_word_of_a_stranger_becomes_a_label(door: CallbackEndpoint) -> None:
    for attack in attacks():
        await knock(door.broker.http_port, attack.request)
    apps, outcomes = ({label[place] for label in door.counted()} for place in (0, 1))

    assert {"", "crm", "mute"} == apps
    assert OUTCOMES | {"unknown_app", "no_callback"} == outcomes
    assert MARK.encode() not in b"".join(door.broker.telemetry.metrics.exposition())


async def test_wecom_waits_for_no_more_than_what_200_attackers_ask_at_once(
    door: CallbackEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processor time, which a busy machine does not stretch; one attack at a time tells its speed.

    That no attack costs much is stated in `tests/unit/protocol/test_callback_cost.py`.
    """
    monkeypatch.setattr("tests.kit.callbacks.sender.WITHIN_SECONDS", 60.0)
    await door.sender.post(text())
    ready = attacks()
    began = time.process_time()
    for attack in ready:
        await knock(door.broker.http_port, attack.request)
    cost_of_one = (time.process_time() - began) / len(ready)
    randomness, over = random.Random(4), asyncio.Event()

    async def attack_on() -> int:
        done = 0
        while not over.is_set():
            await knock(door.broker.http_port, randomness.choice(ready).request, within=60)
            done += 1
        return done

    ready = attacks()
    attackers = [asyncio.create_task(attack_on()) for _ in range(200)]
    answers, costs = [], []
    for _ in range(20):
        began = time.process_time()
        answers.append(await door.sender.post(text()))
        costs.append(time.process_time() - began)
        await asyncio.sleep(0.05)
    over.set()
    done = await asyncio.gather(*attackers)

    assert {(200, "success")} == {answer[:2] for answer in answers}
    assert median(costs) < 2 * 200 * cost_of_one
    assert sum(done) > 200
    assert len(answers) + 1 == len(await door.log())


@pytest.mark.parametrize(
    "start",
    [
        unsigned(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n",
        unsigned(b"").replace(b"Content-Length: 0", b"Content-Length: 1000") + b"hello",
        unsigned(b"").replace(b"Content-Length: 0", b"Content-Length: 1000\r\nExpect: 100-continue"),
    ],
    ids=["chunks without end", "less than it said", "nothing after the head"],
)
async def test_a_body_that_does_not_arrive_is_waited_for_three_seconds(
    door: CallbackEndpoint, start: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.broker.http_port)
    began = time.monotonic()
    async with busy() as machine:
        writer.write(start)
        answer = b""
        while not answer.endswith(b"refused\n"):
            answer += await asyncio.wait_for(reader.read(1000), PATIENCE)
    seconds = time.monotonic() - began
    writer.close()

    assert b" 400 " in answer
    assert 2.5 < seconds
    check_took(seconds - machine.seconds, 4)
    assert {("crm", "format"): 1} == door.counted()


async def test_a_drip_of_bytes_is_no_way_around_it(door: CallbackEndpoint) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.broker.http_port)
    began = time.monotonic()
    writer.write(unsigned(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
    answered = asyncio.create_task(reader.readuntil(b"refused\n"))
    async with busy() as machine:
        while not answered.done():
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.1)
    seconds = time.monotonic() - began
    writer.close()

    assert b" 400 " in await answered
    check_took(seconds - machine.seconds, 4)


async def test_an_unknown_app_is_told_before_the_body_is_read(door: CallbackEndpoint) -> None:
    request = http(path="/callback/nobody", query="msg_signature=1", headers={"Content-Length": "1000"})
    async with busy() as machine:
        refusal = await knock(door.broker.http_port, request)

    assert 404 == refusal.status
    check_took(refusal.seconds - machine.seconds, 1)


async def test_who_hangs_up_in_the_middle_harms_nobody(door: CallbackEndpoint) -> None:
    starts = [
        unsigned(b"").replace(b"Content-Length: 0", b"Content-Length: 1000") + b"hello",
        unsigned(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"5\r\nhe",
        b"POST /callback/crm HTTP/1.1\r\nHost:",
        unsigned(b"<xml/>"),
    ]
    for start in starts:
        _, writer = await asyncio.open_connection("127.0.0.1", door.broker.http_port)
        writer.write(start)
        await writer.drain()
        writer.transport.abort()

    async def all_counted() -> bool:
        return door.counted().total() >= 3

    await until(all_counted)
    assert {("crm", "format"): 3} == door.counted()
    assert (200, "success") == (await door.sender.post(text()))[:2]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\n\t ", b"\0"])
@pytest.mark.parametrize("message", [event(), b'{"msgtype":"text","tousername":"ww"}', b"<xml>" + b"x" * 600])
async def test_a_caught_post_does_not_come_back_in_the_clear(
    door: CallbackEndpoint, mark: bytes, message: bytes
) -> None:
    encrypted = sealed(mark + message)
    request = http("GET", query={**query_of(encrypted), "echostr": encrypted})
    refusal = await knock(door.broker.http_port, request)

    assert 400 == refusal.status
    assert refusal.answer.endswith(b"\r\n\r\nrefused\n")


async def test_a_caught_echo_is_no_event(door: CallbackEndpoint) -> None:
    encrypted = sealed(b"1616140317555161061")
    request = http(query=query_of(encrypted), body=f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode())

    assert 400 == (await knock(door.broker.http_port, request)).status
    assert [] == await door.log()


async def test_the_words_outside_the_seal_decide_nothing(door: CallbackEndpoint) -> None:
    query, body = door.sender.envelope(text(), to_user_name="wwSomebodyElse", agent_id="99")
    assert (200, "success") == (await door.sender.post_envelope(query, body))[:2]
    [found] = await door.log()

    assert "ww1child000000001" == found.corp_id


@pytest.mark.parametrize("part", ["msg_signature", "timestamp", "nonce", "body"])
async def test_one_changed_letter_anywhere_is_refused(door: CallbackEndpoint, part: str) -> None:
    query, body = door.sender.envelope(text())
    randomness = random.Random(4)
    if part == "body":
        start = body.index(b"<Encrypt><![CDATA[") + len(b"<Encrypt><![CDATA[")
        ends = body.index(b"]]></Encrypt>")
        places = randomness.sample(range(start, ends), 40)
        changed = [
            (query, body[:place] + (b"A" if body[place : place + 1] != b"A" else b"B") + body[place + 1 :])
            for place in places
        ]
    else:
        word = query[part]
        changed = [
            ({**query, part: word[:place] + ("1" if word[place] != "1" else "2") + word[place + 1 :]}, body)
            for place in range(len(word))
        ]
    statuses = {(await door.sender.post_envelope(*one))[0] for one in changed}

    assert {403} == statuses
    assert {("crm", "signature"): len(changed)} == door.counted()


@pytest.mark.parametrize("split", [1, 5, 9])
async def test_a_signed_word_cannot_be_moved_from_one_parameter_to_another(
    door: CallbackEndpoint, split: int
) -> None:
    query, body = door.sender.envelope(text(), nonce="9999999999")
    moved = {
        **query,
        "timestamp": query["timestamp"] + query["nonce"][:split],
        "nonce": query["nonce"][split:],
    }

    assert 403 == (await door.sender.post_envelope(moved, body))[0]


async def test_a_verification_of_another_corp_shows_nothing(door: CallbackEndpoint) -> None:
    encrypted = sealed(b"1616140317555161061", "wwSomebodyElse")
    refusal = await knock(
        door.broker.http_port, http("GET", query={**query_of(encrypted), "echostr": encrypted})
    )

    assert (403, False) == (refusal.status, b"1616140317555161061" in refusal.answer)
    assert PARENT.corpid.encode() not in refusal.answer
