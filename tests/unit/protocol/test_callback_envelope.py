"""The envelopes of callbacks: who signed them, what is sealed in them, and why one is refused."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.errors import EnvelopeRejected
from broker.domain.events.event import EnvelopeProblem
from broker.domain.secret import Secret
from broker.protocol.callbacks.envelope import (
    LONGEST_NONCE,
    CallbackKeys,
    Opened,
    check_signature,
    open_sealed,
    pad,
    seal,
    sign,
)
from broker.protocol.callbacks.outside import Envelope, read_envelope
from broker.protocol.callbacks.reply import sealed_reply
from tests.kit.callbacks.vectors import ROBOT, ROBOT_SEALED
from tests.vectors import Vector, cases, vectors

TOKEN, AES_KEY = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
KEYS = CallbackKeys(Secret(TOKEN), Secret(AES_KEY))
RANDOMS = {
    "wxbiz-official-verifyurl": b"c41b64491c2468d0",
    "wxbiz-official-decrypt": b"0960688932c47ef1",
}
"""What WeCom sealed its samples with (wecom-api C3)."""
RANDOM = b"0123456789abcdef"


def keys_of(vector: Vector) -> CallbackKeys:
    return CallbackKeys(Secret(vector["inputs"]["token"]), Secret(vector["inputs"]["encoding_aes_key"]))


def checked_and_opened(vector: Vector, encrypted: str) -> Opened:
    inputs, keys = vector["inputs"], keys_of(vector)
    check_signature(keys, inputs["msg_signature"], inputs["timestamp"], inputs["nonce"], encrypted)
    return open_sealed(keys, encrypted)


def problem(what: Callable[..., Any], *args: Any) -> EnvelopeProblem:
    with pytest.raises(EnvelopeRejected) as refused:
        what(*args)
    assert {"problem": refused.value.problem} == refused.value.metadata
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return EnvelopeProblem(refused.value.problem)


def encrypted_as_it_is(plaintext: bytes) -> str:
    """Return what WeCom's key makes of any whole blocks, by another way than `seal`."""
    key = base64.b64decode(AES_KEY + "=")
    encryptor = Cipher(AES(key), CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plaintext) + encryptor.finalize()).decode()


@pytest.mark.parametrize(**cases("callback_verify_url"))
def test_a_published_echo_is_opened_and_sealed_back(vector: Vector) -> None:
    inputs, expected = vector["inputs"], vector["expected"]
    opened = checked_and_opened(vector, inputs["echostr"])

    assert Opened(expected["plaintext"].encode(), expected["receive_id"]) == opened
    random = RANDOMS[vector["id"]]
    assert inputs["echostr"] == seal(keys_of(vector), opened.message, opened.receive_id, random)


@pytest.mark.parametrize(**cases("callback_decrypt_xml"))
def test_a_published_message_is_opened_and_sealed_back(vector: Vector) -> None:
    inputs, expected = vector["inputs"], vector["expected"]
    envelope = read_envelope(inputs["body"].encode())
    opened = checked_and_opened(vector, envelope.encrypted)

    assert Opened(expected["plaintext"].encode(), expected["receive_id"]) == opened
    random = RANDOMS[vector["id"]]
    assert envelope.encrypted == seal(keys_of(vector), opened.message, opened.receive_id, random)


@pytest.mark.parametrize(**cases("callback_negative"))
def test_a_published_message_for_another_receiver_tells_for_whom_it_is(vector: Vector) -> None:
    assert "receive_id_mismatch" == vector["expected"]["error"]
    opened = checked_and_opened(vector, read_envelope(vector["inputs"]["body"].encode()).encrypted)

    assert vector["inputs"]["receive_id"] != opened.receive_id


@pytest.mark.parametrize(**cases("encoding_aes_key_decode"))
def test_a_published_key_with_spare_bits_is_accepted(vector: Vector) -> None:
    encoded = vector["inputs"]["encoding_aes_key"]

    assert vector["expected"]["key_hex"] == CallbackKeys(Secret("t"), Secret(encoded)).aes_key.hex()


ILLEGAL_KEYS = [
    *(vector["inputs"]["encoding_aes_key"] for vector in vectors("encoding_aes_key_negative").values()),
    "",
    AES_KEY + "C",
    AES_KEY + "=",
    AES_KEY + "\n",
    AES_KEY[:-1] + "-",
    AES_KEY[:-1] + "é",
    " " + AES_KEY[1:],
]


@pytest.mark.parametrize("encoded", ILLEGAL_KEYS)
def test_an_illegal_key_is_refused_and_not_shown(encoded: str) -> None:
    with pytest.raises(ValueError, match="an EncodingAESKey has 43 letters") as refused:
        CallbackKeys(Secret("t"), Secret(encoded))

    assert not encoded or encoded not in str(refused.value)


def test_an_empty_token_is_refused() -> None:
    with pytest.raises(ValueError, match="a Token is not empty"):
        CallbackKeys(Secret(""), Secret(AES_KEY))


def test_keys_are_not_shown() -> None:
    assert "CallbackKeys(token=Secret(***), encoding_aes_key=Secret(***))" == repr(KEYS)


@pytest.mark.parametrize(**cases("pkcs7_pad_32"))
def test_published_padding_is_made(vector: Vector) -> None:
    data = bytes.fromhex(vector["inputs"]["data_hex"])

    assert vector["expected"]["padded_hex"] == pad(data).hex()


@pytest.mark.parametrize("length", range(65))
def test_padding_fills_whole_blocks_of_32_with_its_own_length(length: int) -> None:
    padded = pad(b"x" * length)

    assert 0 == len(padded) % 32
    assert 1 <= padded[-1] <= 32
    assert b"x" * length + bytes([padded[-1]]) * padded[-1] == padded


def test_the_signature_that_another_library_publishes_for_its_parts_is_made() -> None:
    # wecom-api C3: the SDK's test signs ciphertext that is not copied there; the rule is the same.
    parts = ["ovAkP0Tb", "1628737717", "1811081856", "RypEvHKD8QQ="]
    expected = hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()

    assert expected == sign(Secret(parts[0]), *parts[1:])


OUTSIDES = {
    "xml": b"<xml><ToUserName><![CDATA[ww1]]></ToUserName><AgentID>7</AgentID><Encrypt>ab+=</Encrypt></xml>",
    "xml with blanks": b"\r\n <xml>\n<Encrypt> ab+=\n</Encrypt>\n<AgentID> 7</AgentID>"
    b"<ToUserName>ww1</ToUserName></xml>",
    "xml with a mark": b"\xef\xbb\xbf<xml><ToUserName>ww1</ToUserName><AgentID>7</AgentID>"
    b"<Encrypt>ab+=</Encrypt></xml>",
    "xml with a declaration": b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<xml><ToUserName>ww1</ToUserName><AgentID>7</AgentID><Encrypt>ab+=</Encrypt></xml>",
    "xml with a broken CDATA": b"<xml><ToUserName> ![CDATA[ww1]]></ToUserName><AgentID>![CDATA[7]]></AgentID>"
    b"<Encrypt><![CDATA[ab+=]]></Encrypt></xml>",
    "xml with something twice": b"<xml><ToUserName>ww1</ToUserName><AgentID>7</AgentID>"
    b"<Encrypt>ab+=</Encrypt><Encrypt>other</Encrypt></xml>",
    "json": b'{"tousername":"ww1","encrypt":"ab+=","agentid":"7"}',
    "json with a number": b' {"tousername":"ww1","encrypt":"ab+=","agentid":7}',
    "json with a mark": b'\xef\xbb\xbf{"tousername":"ww1","encrypt":"ab+=","agentid":"7"}',
}


@pytest.mark.parametrize("body", OUTSIDES.values(), ids=OUTSIDES)
def test_the_outside_is_read(body: bytes) -> None:
    assert Envelope("ab+=") == read_envelope(body)


@pytest.mark.parametrize("body", [b"<xml><Encrypt>ab+=</Encrypt></xml>", b'{"encrypt":"ab+="}'])
def test_only_what_is_sealed_must_be_there(body: bytes) -> None:
    assert Envelope("ab+=") == read_envelope(body)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
JUNK = bytes(range(256)) * 1024
NO_OUTSIDES = {
    "empty": b"",
    "blank": b" \n",
    "text": b"hello",
    "junk": JUNK,
    "letters": b"a" * len(JUNK),
    "no sealed part": b"<xml><ToUserName>ww1</ToUserName></xml>",
    "an empty sealed part": b"<xml><Encrypt><![CDATA[ ]]></Encrypt></xml>",
    "a sealed part too deep": b"<xml><a><Encrypt>ab+=</Encrypt></a></xml>",
    "another sealed part": b'<xml xmlns="urn:x"><Encrypt>ab+=</Encrypt></xml>',
    "cut off": b"<xml><Encrypt>ab+=</Encrypt>",
    "two roots": b"<xml><Encrypt>ab+=</Encrypt></xml><xml/>",
    "a bomb": f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]><xml><Encrypt>&l9;</Encrypt></xml>'.encode(),
    "an external entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><Encrypt>&e;</Encrypt></xml>',
    "a parameter entity": b'<!DOCTYPE x [<!ENTITY % e SYSTEM "http://127.0.0.1/">%e;]><xml><Encrypt>a</Encrypt></xml>',
    "a DTD": b"<!DOCTYPE xml><xml><Encrypt>ab+=</Encrypt></xml>",
    "a DTD elsewhere": b'<!DOCTYPE xml SYSTEM "http://127.0.0.1/x"><xml><Encrypt>ab+=</Encrypt></xml>',
    "an unknown entity": b"<xml><Encrypt>&nobody;</Encrypt></xml>",
    "a NUL": b"<xml><Encrypt>ab+=\0</Encrypt></xml>",
    "a NUL by number": b"<xml><Encrypt>ab+=&#0;</Encrypt></xml>",
    "half a character by number": b"<xml><Encrypt>&#xD800;</Encrypt></xml>",
    "deep": b"<a>" * 80_000 + b"</a>" * 80_000,
    "deep and open": b"<a>" * 80_000,
    "wide": b"<xml><Encrypt>ab+=</Encrypt>" + b"<a/>" * 60_000 + b"</xml>",
    "a long name": b"<xml><Encrypt>ab+=</Encrypt><" + b"a" * 65 + b"/></xml>",
    "broken CDATA for ever": b"<xml>" + b">![CDATA[" * 29_000,
    "broken ends for ever": b"<xml>" + b">![CDATA[]]" * 23_000,
    "blanks for ever": b"<xml>" + b"> " * 130_000,
    "no utf-8": b"<xml><Encrypt>ab+=\xff</Encrypt></xml>",
    "half a character": b"<xml><Encrypt>ab+=\xed\xa0\x80</Encrypt></xml>",
    "utf-16": "<xml><Encrypt>ab+=</Encrypt></xml>".encode("utf-16"),
    "gbk": '<?xml version="1.0" encoding="gbk"?><xml><Encrypt>企业</Encrypt></xml>'.encode("gbk"),
    "no json": b'{"encrypt":"ab+="',
    "json of nothing": b"{}",
    "json of null": b'{"encrypt":null}',
    "json of a list": b'["encrypt"]',
    "json of a part": b'{"encrypt":{"encrypt":"ab+="}}',
    "json in utf-16": '{"encrypt":"ab+="}'.encode("utf-16-le"),
    "json in utf-32": '{"encrypt":"ab+="}'.encode("utf-32"),
    "json without utf-8": b'{"encrypt":"ab+=\xff"}',
    "deep json": b'{"a":' * 50_000,
    "deep json that ends": b'{"a":' * 20 + b"1" + b"}" * 20,
    "deep lists": b'{"encrypt":"ab+=","a":' + b"[" * 20 + b"]" * 20 + b"}",
    "wide json": b'{"encrypt":"ab+=","a":[' + b"1," * 60_000 + b"1]}",
    "a long name in json": b'{"encrypt":"ab+=","' + b"a" * 65 + b'":1}',
}


@pytest.mark.parametrize("body", NO_OUTSIDES.values(), ids=NO_OUTSIDES)
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    assert EnvelopeProblem.FORMAT == problem(read_envelope, body)


SEALED = seal(KEYS, b"<xml/>", "ww1", RANDOM)
SIGNED = ("1409659813", "1372623149", SEALED)
SIGNATURE = sign(Secret(TOKEN), *SIGNED)
FOREIGN = {
    "empty": ("", *SIGNED),
    "cut off": (SIGNATURE[:-1], *SIGNED),
    "longer": (SIGNATURE + "0", *SIGNED),
    "in capitals": (SIGNATURE.upper(), *SIGNED),
    "of another token": (sign(Secret("QDG6eL"), *SIGNED), *SIGNED),
    "without a token": (hashlib.sha1("".join(sorted(SIGNED)).encode()).hexdigest(), *SIGNED),
    "of another moment": (SIGNATURE, "1409659814", *SIGNED[1:]),
    "of another nonce": (SIGNATURE, SIGNED[0], "1372623148", SEALED),
    "of something else": (SIGNATURE, *SIGNED[:2], SEALED[:-4] + "AAA="),
    "no ascii": ("é" * 40, *SIGNED),
    "half a character": ("\ud800", "\udfff", "\udc80", "\ud800"),
    "a long nonce": (sign(Secret(TOKEN), SIGNED[0], "9" * 64, SEALED), SIGNED[0], "9" * 64, SEALED),
}


@pytest.mark.parametrize("signed", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_signature_is_refused(signed: tuple[str, str, str, str]) -> None:
    check_signature(KEYS, SIGNATURE, *SIGNED)

    assert EnvelopeProblem.SIGNATURE == problem(check_signature, KEYS, *signed)


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1.5", "1_0", " 1", "1\n", "１", "1" * 17])
def test_a_signed_timestamp_that_is_no_number_is_refused(timestamp: str) -> None:
    signature = sign(KEYS.token, timestamp, "n", SEALED)

    assert EnvelopeProblem.TIMESTAMP == problem(check_signature, KEYS, signature, timestamp, "n", SEALED)


def test_what_is_sealed_does_not_hide_in_a_nonce() -> None:
    # Joined, "1" + the first blocks + the rest is the same as "1 and the first blocks" + the rest.
    timestamp, randoms = "9409659813", (number.to_bytes(16) for number in range(10_000))
    sealed = next(
        found
        for found in (seal(KEYS, b"<xml/>" * 9, "ww1", random) for random in randoms)
        if "1" < found < timestamp and "1" + found < found[64:] < timestamp
    )
    signature = sign(KEYS.token, timestamp, "1", sealed)
    check_signature(KEYS, signature, timestamp, "1", sealed)
    nonce = "1" + sealed[:64]

    assert signature == sign(KEYS.token, timestamp, nonce, sealed[64:])
    assert len(nonce) > LONGEST_NONCE
    assert EnvelopeProblem.SIGNATURE == problem(
        check_signature, KEYS, signature, timestamp, nonce, sealed[64:]
    )


def lengthened(message: bytes, length: int) -> str:
    return encrypted_as_it_is(pad(RANDOM + length.to_bytes(4, "big") + message))


BLOCK = RANDOM + b"\0\0\0\x06<xml/>ww1"  # 29 bytes
BROKEN = {
    "not base64": ("!" * 44, EnvelopeProblem.ENCODING),
    "base64 of URLs": ("-_" * 32, EnvelopeProblem.ENCODING),
    "not ascii": (SEALED[:-2] + "é=", EnvelopeProblem.ENCODING),
    "half a character": ("\ud800" * 4, EnvelopeProblem.ENCODING),
    "blanks within": (SEALED[:8] + "\n" + SEALED[8:], EnvelopeProblem.ENCODING),
    "more after its end": (SEALED + "AAAA", EnvelopeProblem.ENCODING),
    "without its end": (SEALED.rstrip("="), EnvelopeProblem.ENCODING),
    "empty": ("", EnvelopeProblem.ENCODING),
    "not whole blocks": (base64.b64encode(b"x" * 33).decode(), EnvelopeProblem.ENCODING),
    "cut within a block": (SEALED[:-4], EnvelopeProblem.ENCODING),
    "cut to a block": (
        base64.b64encode(base64.b64decode(SEALED)[:16]).decode(),
        EnvelopeProblem.PADDING,
    ),
    "random blocks": (base64.b64encode(bytes(64)).decode(), EnvelopeProblem.PADDING),
    "padding of 0": (encrypted_as_it_is(BLOCK.ljust(32, b"\0")), EnvelopeProblem.PADDING),
    "padding of 33": (encrypted_as_it_is(BLOCK.ljust(64, b"\x21")), EnvelopeProblem.PADDING),
    "padding of 255": (encrypted_as_it_is(BLOCK.ljust(512, b"\xff")), EnvelopeProblem.PADDING),
    "uneven padding": (encrypted_as_it_is(BLOCK + b"\2\3\3"), EnvelopeProblem.PADDING),
    "more padding than bytes": (encrypted_as_it_is(b"\x20" * 16), EnvelopeProblem.PADDING),
    "nothing but padding": (encrypted_as_it_is(b"\x20" * 32), EnvelopeProblem.LENGTH),
    "no length": (encrypted_as_it_is(pad(RANDOM)), EnvelopeProblem.LENGTH),
    "half a length": (encrypted_as_it_is(pad(RANDOM + b"\0\0")), EnvelopeProblem.LENGTH),
    "a byte too long": (lengthened(b"<xml/>", 7), EnvelopeProblem.LENGTH),
    "4 GiB": (lengthened(b"<xml/>", 2**32 - 1), EnvelopeProblem.LENGTH),
    "a negative length": (lengthened(b"<xml/>", 2**31), EnvelopeProblem.LENGTH),
    "a receiver that is no text": (lengthened(b"<xml/>\xff", 6), EnvelopeProblem.RECEIVE_ID),
}


@pytest.mark.parametrize(("encrypted", "expected"), BROKEN.values(), ids=BROKEN)
def test_what_is_sealed_wrongly_is_refused(encrypted: str, expected: EnvelopeProblem) -> None:
    assert expected == problem(open_sealed, KEYS, encrypted)


def test_what_is_sealed_with_another_key_is_refused() -> None:
    other = CallbackKeys(Secret(TOKEN), Secret("A" * 43))

    assert EnvelopeProblem.PADDING == problem(open_sealed, other, SEALED)


@pytest.mark.parametrize("count", range(1, 33))
def test_any_length_of_padding_is_accepted(count: int) -> None:
    # 32 blocks matter: the padding of the published message is 30 (wecom-api G10).
    message = b"m" * (64 - 20 - count)

    assert Opened(message, "") == open_sealed(KEYS, seal(KEYS, message, "", RANDOM))
    assert Opened(message, "") == open_sealed(KEYS, lengthened(message, len(message)))


def test_a_reply_is_what_wecom_can_check_and_open() -> None:
    body = sealed_reply(KEYS, "<xml>回复</xml>".encode(), "ww1", timestamp=7, nonce="n", random=RANDOM)
    reply = {part.tag: part.text or "" for part in fromstring(body)}

    assert ["Encrypt", "MsgSignature", "TimeStamp", "Nonce"] == list(reply)
    assert ("7", "n") == (reply["TimeStamp"], reply["Nonce"])
    check_signature(KEYS, reply["MsgSignature"], "7", "n", reply["Encrypt"])
    assert Opened("<xml>回复</xml>".encode(), "ww1") == open_sealed(KEYS, reply["Encrypt"])


def test_what_a_robot_sends_is_opened_and_sealed_back() -> None:
    signature = "6d25d465baeeab16ca5aa854b39d79369fefa2d4"
    check_signature(KEYS, signature, "1763020803", "339907112", ROBOT_SEALED)

    assert Opened(ROBOT, "") == open_sealed(KEYS, ROBOT_SEALED)
    assert ROBOT_SEALED == seal(KEYS, ROBOT, "", b"c4d1e6a83b7f0592")


@given(st.binary(max_size=200), st.text(max_size=40), st.binary(min_size=16, max_size=16))
def test_any_message_comes_out_as_it_went_in(message: bytes, receive_id: str, random: bytes) -> None:
    sealed = seal(KEYS, message, receive_id, random)

    assert Opened(message, receive_id) == open_sealed(KEYS, sealed)
    assert sealed == read_envelope(json.dumps({"encrypt": sealed}).encode()).encrypted
    assert sealed == read_envelope(f"<xml><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>".encode()).encrypted


@pytest.mark.parametrize(
    "body",
    [
        b'{"encrypt": "x", "a": [' + b"1," * 120_000 + b"1]}",
        b"<xml><Encrypt>x</Encrypt>" + b"<a/>" * 60_000 + b"</xml>",
        b"<xml " + b'a="" ' * 50_000 + b"><Encrypt>x</Encrypt></xml>",
        b"<xml><Encrypt>x</Encrypt>" + b"&#65;" * 50_000 + b"</xml>",
    ],
    ids=["numbers", "elements", "attributes", "references"],
)
def test_a_body_of_thousands_of_parts_is_refused_before_it_is_parsed(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("parse_json", "HEAD", "PART"):
        monkeypatch.delattr(f"broker.protocol.callbacks.outside.{part}")

    with pytest.raises(EnvelopeRejected) as refused:
        read_envelope(body)

    assert EnvelopeProblem.FORMAT == refused.value.problem
