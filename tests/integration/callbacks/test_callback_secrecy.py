"""Issue 4: at debug level too, keys and contents of callbacks are in plain text on the wire only."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest
from wecom_broker.v1 import callback_service_pb2 as pb
from wecom_broker.v1 import callback_service_pb2_grpc as callback_grpc

from broker.protocol.callbacks.message import delivery_key, read_message
from broker.simulator import Format, running_simulator
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, PARENT, demo_world
from tests.integration.acting.acting import APP, CHILD, refusal_of
from tests.kit.callbacks.attacks import FOREIGN_KEYS, MARK, attacks, knock
from tests.kit.callbacks.endpoint import CALLBACK, event, looking_on, text
from tests.kit.callbacks.sender import DEMO_KEYS, CallbackSender
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import configuration
from tests.kit.processes.left_behind import Monitor, left_behind
from tests.kit.processes.redis_server import RedisServer
from tests.kit.secrecy import forms, leaks

USER, ECHO, REPLY = "UserOfTheMessage", "4815162342815", "ReplyInConfidence"
CHECKED = {"token": "TokenOfAnotherApp", "aes_key": "KeyOfAnotherAppForItsCallbacksAndNoneElse0B"}
SAID = [
    text(CHILD, FromUserName=USER, Content=MARK, MsgId=int("9" * 17)),
    event("enter_agent", CHILD, FromUserName=USER, EventKey=MARK),
    text(PARENT.corpid, FromUserName=USER, Content=MARK),
    text("wwStranger", FromUserName=USER, Content=MARK),
]

pytestmark = pytest.mark.slow


@dataclass
class Run:
    """What a run left behind, by the place where it was found."""

    haystacks: Mapping[str, bytes]
    logs: Mapping[str, list[str]]
    told: bytes
    """All that refused callers were answered."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Let a broker on Redis and one on SQLite take callbacks, good and bad."""
    folder = tmp_path_factory.mktemp("callback-secrecy")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis", append_only=True))
        monitor = Monitor(redis.port)
        monitor.start()
        yield asyncio.run(_run(folder, redis, monitor))


async def _run(folder: Path, redis: RedisServer, monitor: Monitor) -> Run:
    world = demo_world()
    async with running_simulator(world) as url:
        database = folder / "store" / "broker.db"
        database.parent.mkdir()
        stores = {"redis": redis.url, "sqlite": f"sqlite:///{database}"}
        with ExitStack() as stack:
            brokers = {}
            for name, store_url in stores.items():
                config = configuration(url, store_url, app={"callback": CALLBACK})
                # A stranger whose address is told by a proxy, and refused.
                config["server"] = {"trusted_proxies": ["127.0.0.1"]}
                config["apps"].append({**config["apps"][0], "name": "checked"})
                config["apps"][1]["callback"] = {**CHECKED, "check_sender": True}
                brokers[name] = BrokerProcess(folder / f"broker-on-{name}", config)
                stack.push(brokers[name].__exit__)
                brokers[name].launch()
            for broker in brokers.values():
                await asyncio.to_thread(broker.await_ready)
            told = b"".join([await _call_back(broker) for broker in brokers.values()])
            haystacks = left_behind(folder, list(brokers.values()), redis, monitor)
            for broker in brokers.values():
                await asyncio.to_thread(broker.stop)
        for broker in brokers.values():
            haystacks[f"{broker.log} at the end"] = broker.log.read_bytes()
        haystacks["broker.db at the end"] = database.read_bytes()
    logs = {name: broker.log.read_text().splitlines() for name, broker in brokers.items()}
    return Run(haystacks, logs, told)


async def _call_back(broker: BrokerProcess) -> bytes:
    """Do all that is there to do; return what refused callers were told."""
    told = b""
    url = f"http://127.0.0.1:{broker.http_port}/callback/{APP}"
    async with CallbackSender.open(url) as sender:
        for message in SAID:
            for body_format in Format:
                assert 200 == (await sender.post(message, body_format=body_format))[0]
        assert (200, ECHO) == (await sender.verify(ECHO))[:2]
        for attack in attacks():
            told += (await knock(broker.http_port, attack.request)).answer if attack.outcome else b""
        query, body = sender.envelope(SAID[0])
        headers = {"X-Forwarded-For": MARK}
        async with sender.session.post(
            url.replace(APP, "checked"), params=query, data=body, headers=headers
        ) as answer:
            assert 403 == answer.status
            told += await answer.read()
        async with grpc.aio.insecure_channel(broker.address) as channel:
            stub = callback_grpc.CallbackServiceStub(channel)  # type: ignore[no-untyped-call]
            request = pb.OpenEnvelopeRequest(app=APP, body=body, **query)
            assert MARK in (await stub.OpenEnvelope(request)).event.xml
            await stub.SealReply(
                pb.SealReplyRequest(
                    app=APP, message=f"<xml><MsgType>text</MsgType><Content>{REPLY}</Content></xml>"
                )
            )
            request.body = body.replace(b"<Encrypt>", b"<Encrypt>A")
            told += str(await refusal_of(stub.OpenEnvelope(request))).encode()
            stream = looking_on(channel)
            found = [await anext(aiter(stream)) for _ in SAID]
            assert [message.decode() for message in SAID] == [one.xml for one in found]
    return told


NEEDLES = {
    "the Token": forms(CALLBACK_TOKEN),
    "the EncodingAESKey": forms(CALLBACK_AES_KEY) | forms(DEMO_KEYS.aes_key),
    "what was said": {form for said in (MARK, USER, "9" * 17) for form in forms(said)},
    "what was echoed": forms(ECHO),
    "what was replied": forms(REPLY),
    "what another signed with": forms(FOREIGN_KEYS.token.reveal()),
}


@pytest.mark.parametrize("name", NEEDLES)
def test_it_is_in_no_store_no_log_and_no_figure(run: Run, name: str) -> None:
    assert set() == leaks(
        {name: NEEDLES[name]}, {**run.haystacks, "what refused callers were told": run.told}
    )


def test_there_was_something_to_find(run: Run) -> None:
    for place in ("redis commands", "redis keys and values", "broker.db", "broker.db-wal"):
        assert len(run.haystacks[place]) > 1000
    assert 2 == len([place for place in run.haystacks if place.endswith("broker.log at the end")])
    assert any("appendonly" in place for place in run.haystacks)
    assert CHILD.encode() in run.haystacks["redis commands"]
    assert b"refused\n" in run.told


def test_who_reads_the_store_cannot_try_guesses_of_what_was_said(run: Run) -> None:
    guesses = [delivery_key(read_message(message)) for message in SAID]
    guesses += [hashlib.sha256(message).hexdigest() for message in SAID]
    guesses += [hashlib.sha256(b"9" * 17).hexdigest(), hashlib.sha256(MARK.encode()).hexdigest()]
    digests = [guess.encode() for guess in guesses] + [bytes.fromhex(guess) for guess in guesses]
    found = [place for place, hay in run.haystacks.items() for digest in digests if digest in hay]

    assert [] == found


@pytest.mark.parametrize("store", ["redis", "sqlite"])
def test_each_kind_of_refusal_is_a_warning_once_and_nothing_is_unexpected(run: Run, store: str) -> None:
    lines = [json.loads(line) for line in run.logs[store]]
    refused = [line for line in lines if line["event"] == "callback refused"]
    warned = [(line["app"], line["outcome"]) for line in refused if line["level"] == "warning"]

    assert [] == [line for line in lines if line["level"] in {"error", "critical"}]
    assert len(set(warned)) == len(warned)
    assert set(warned) == {(line["app"], line["outcome"]) for line in refused}
    assert {"", APP, "checked"} == {line["app"] for line in refused}
