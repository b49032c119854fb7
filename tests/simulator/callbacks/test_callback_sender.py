"""The tests' own sender: what it sends is WeCom's, and only what a test tampers with is not."""

import base64
from collections.abc import AsyncIterator

import pytest

from broker.simulator.callbacks.envelope import Format
from broker.simulator.demo import CALLBACK_AES_KEY
from tests.kit.callbacks.sender import CallbackSender, Query
from tests.simulator.callbacks.receiver import Receiver, running_receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as receiver:
        yield receiver


@pytest.fixture
async def sender(receiver: Receiver) -> AsyncIterator[CallbackSender]:
    async with CallbackSender.open(receiver.url) as sender:
        yield sender


@pytest.mark.parametrize("body_format", list(Format))
async def test_what_is_posted_opens_with_the_keys(
    sender: CallbackSender, receiver: Receiver, body_format: Format
) -> None:
    status, body, seconds = await sender.post(b"<xml/>", receive_id="ww1", body_format=body_format)

    assert (200, "success") == (status, body)
    assert 0 < seconds < 5
    assert (b"<xml/>", "ww1") == (receiver.got[0].message, receiver.got[0].receive_id)
    assert body_format.content_type == receiver.got[0].content_type


async def test_what_is_tampered_with_is_refused(sender: CallbackSender, receiver: Receiver) -> None:
    def tampered(query: Query, body: bytes) -> tuple[Query, bytes]:
        return {**query, "nonce": "another"}, body

    assert 403 == (await sender.post(b"<xml/>", tamper=tampered))[0]
    assert [] == receiver.got


async def test_an_envelope_is_sent_twice_byte_by_byte(sender: CallbackSender, receiver: Receiver) -> None:
    query, body = sender.envelope(b"<xml/>", timestamp=1409659813, nonce="n")
    await sender.post_envelope(query, body)
    await sender.post_envelope(query, body)

    assert receiver.got[0] == receiver.got[1]
    assert ("1409659813", "n") == (query["timestamp"], query["nonce"])


async def test_a_verification_gets_the_plaintext_back(sender: CallbackSender) -> None:
    assert (200, "42") == (await sender.verify("42"))[:2]
    assert 403 == (await sender.verify("42", tamper=lambda query: {**query, "echostr": "AAAA"}))[0]


async def test_no_answer_is_an_error(sender: CallbackSender, receiver: Receiver) -> None:
    await receiver.stop()

    with pytest.raises(AssertionError, match="Connect"):
        await sender.post(b"<xml/>")


def test_the_demo_key_has_spare_bits() -> None:
    assert CALLBACK_AES_KEY + "=" != base64.b64encode(base64.b64decode(CALLBACK_AES_KEY + "=")).decode()
