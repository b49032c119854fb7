"""The simulator's own cryptography, against the published vectors."""

import base64
import json

import pytest

from broker.simulator.crypto import CallbackKeys, page_signature
from broker.simulator.world.people.mini_program import encrypt_data
from tests.vectors import Vector, cases

T4 = {
    "token": "QDG6eK",
    "encoding_aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    "random": b"c4d1e6a83b7f0592",
    "timestamp": "1763020803",
    "nonce": "339907112",
    "message": b'{"msgid":"m-5f2c","aibotid":"aib-7Qd","chattype":"single","from":{"userid":"T12345"},'
    b'"msgtype":"text","text":{"content":"hi"}}',
    "encrypted": "rd8hHOYLtyckF/NrNHgAO5XCM+C7MgH0E+b6iBe9LD4TcRQuLAUf+SrT2gdGk4LAogfQXUeWu6Fp4ZQi5bZ87sBr"
    "SHbtH2h5Y0O5xYFhPub0rTtZDMoI/4pp3YfSUU9J0uczMfTEBv/oXytZNzWW0Bupdo+jZ0gJ15eJqAMJ1/qgjT0Z"
    "XRJ4y/vuwRp5lHtRUfhwfLbB0RvS8hQe8Fm8Pg==",
    "signature": "6d25d465baeeab16ca5aa854b39d79369fefa2d4",
}
"""A robot's message (wecom-api C3): its receiveid is empty."""


@pytest.mark.parametrize(**cases("callback_verify_url"))
def test_a_published_verification_is_opened_signed_and_sealed_again(vector: Vector) -> None:
    given, expected = vector["inputs"], vector["expected"]
    keys = CallbackKeys(given["token"], given["encoding_aes_key"])
    message, receive_id = keys.open(given["echostr"])

    assert (expected["plaintext"], expected["receive_id"]) == (message.decode(), receive_id)
    assert given["msg_signature"] == keys.sign(given["timestamp"], given["nonce"], given["echostr"])


@pytest.mark.parametrize(**cases("callback_decrypt_xml"))
def test_a_published_message_is_opened_and_signed(vector: Vector) -> None:
    given, expected = vector["inputs"], vector["expected"]
    keys = CallbackKeys(given["token"], given["encoding_aes_key"])
    encrypted = given["body"].split("<Encrypt><![CDATA[")[1].split("]]>")[0]
    message, receive_id = keys.open(encrypted)

    assert (expected["plaintext"], expected["receive_id"]) == (message.decode(), receive_id)
    assert given["msg_signature"] == keys.sign(given["timestamp"], given["nonce"], encrypted)


def test_a_robot_s_message_is_sealed_byte_by_byte() -> None:
    keys = CallbackKeys(T4["token"], T4["encoding_aes_key"])

    assert T4["encrypted"] == keys.seal(T4["message"], "", T4["random"])
    assert (T4["message"], "") == keys.open(T4["encrypted"])
    assert T4["signature"] == keys.sign(T4["timestamp"], T4["nonce"], T4["encrypted"])


@pytest.mark.parametrize(**cases("encoding_aes_key_negative"))
def test_a_published_key_that_is_none_is_refused(vector: Vector) -> None:
    with pytest.raises(ValueError, match="43 letters"):
        CallbackKeys("token", vector["inputs"]["encoding_aes_key"])


@pytest.mark.parametrize(**cases("jsapi_signature"))
def test_a_published_page_has_its_signature(vector: Vector) -> None:
    given = vector["inputs"]
    signature = page_signature(given["jsapi_ticket"], given["noncestr"], given["timestamp"], given["url"])

    assert vector["expected"]["signature"] == signature


@pytest.mark.parametrize(**cases("miniprogram_decrypt"))
def test_a_published_mini_program_s_data_is_encrypted_byte_by_byte(vector: Vector) -> None:
    given, fields = vector["inputs"], json.loads(vector["expected"]["plaintext"])
    encrypted = encrypt_data(given["session_key"], fields, base64.b64decode(given["iv"]))

    assert (given["encrypted_data"], given["iv"]) == encrypted


@pytest.mark.parametrize("message", [b"", b"a" * 12, b"a" * 13, b"\x00\xff" * 50])
def test_what_was_sealed_opens(message: bytes) -> None:
    keys = CallbackKeys("token", str(T4["encoding_aes_key"]))

    assert (message, "企业") == keys.open(keys.seal(message, "企业", b"r" * 16))


@pytest.mark.parametrize("encrypted", ["", "?", "AAAA", "A" * 64])
def test_what_was_not_sealed_with_the_keys_does_not_open(encrypted: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        CallbackKeys("token", str(T4["encoding_aes_key"])).open(encrypted)


def test_a_token_is_not_empty_and_keys_are_not_shown() -> None:
    with pytest.raises(ValueError, match="Token"):
        CallbackKeys("", str(T4["encoding_aes_key"]))
    assert "CallbackKeys()" == repr(CallbackKeys("token", str(T4["encoding_aes_key"])))
