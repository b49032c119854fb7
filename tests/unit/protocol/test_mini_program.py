"""Encrypted data, watermarks and signatures of a mini-program."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.errors import DataRejected
from broker.domain.secret import Secret
from broker.protocol.mini_program import check_watermark, decrypt_data, signature_valid
from tests.vectors import Vector, cases

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = bytes(range(16))
IV = bytes(range(16, 32))
BLOCKS = st.binary(min_size=16, max_size=16)
OBJECTS = st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.none())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def padded(plaintext: bytes) -> bytes:
    length = 16 - len(plaintext) % 16
    return plaintext + bytes([length]) * length


def encrypted(blocks: bytes, key: bytes = KEY, iv: bytes = IV) -> str:
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return b64(encryptor.update(blocks) + encryptor.finalize())


def refusal(session_key: str, encrypted_data: str, iv: str) -> tuple[str, dict[str, str], object]:
    with pytest.raises(DataRejected) as refused:
        decrypt_data(Secret(session_key), encrypted_data, iv)
    return refused.value.message, refused.value.metadata, refused.value.__context__


@pytest.mark.parametrize(**cases("miniprogram_decrypt"))
def test_published_data_is_decrypted_and_encrypted_back(vector: Vector) -> None:
    inputs, expected = vector["inputs"], vector["expected"]["plaintext"]
    plaintext = decrypt_data(Secret(inputs["session_key"]), inputs["encrypted_data"], inputs["iv"])

    assert expected == plaintext.decode()

    key, iv = base64.b64decode(inputs["session_key"]), base64.b64decode(inputs["iv"])
    assert inputs["encrypted_data"] == encrypted(padded(plaintext), key, iv)

    written = datetime.fromtimestamp(json.loads(plaintext)["watermark"]["timestamp"], UTC)
    check_watermark(plaintext, inputs["appid"], HOUR, written + HOUR)


@pytest.mark.parametrize(**cases("miniprogram_decrypt_negative"))
def test_published_spoilt_data_is_refused(vector: Vector) -> None:
    inputs = vector["inputs"]

    assert refusal(inputs["session_key"], inputs["encrypted_data"], inputs["iv"])


GOOD = encrypted(padded(b'{"a":1}'))
SPOILT = {
    "key no base64": ("!", GOOD, b64(IV)),
    "key not ascii": ("é", GOOD, b64(IV)),
    "key too short": (b64(KEY[:15]), GOOD, b64(IV)),
    "key of AES-256": (b64(KEY * 2), GOOD, b64(IV)),
    "another key": (b64(IV), GOOD, b64(IV)),
    "iv no base64": (b64(KEY), GOOD, b64(IV)[:-1]),
    "iv too long": (b64(KEY), GOOD, b64(IV * 2)),
    "another iv": (b64(KEY), GOOD, b64(KEY)),
    "data no base64": (b64(KEY), "a b", b64(IV)),
    "data with blanks": (b64(KEY), GOOD + "\n", b64(IV)),
    "data empty": (b64(KEY), "", b64(IV)),
    "data no whole blocks": (b64(KEY), b64(b"a" * 17), b64(IV)),
    "padding 0": (b64(KEY), encrypted(b'{"a":1}'.ljust(16, b"\x00")), b64(IV)),
    "padding 17": (b64(KEY), encrypted(b'{"a":1}'.ljust(32, b"\x11")), b64(IV)),
    "padding uneven": (b64(KEY), encrypted(b'{"a":1}'.ljust(14) + b"\x01\x02"), b64(IV)),
    "no json": (b64(KEY), encrypted(padded(b"{")), b64(IV)),
    "no object": (b64(KEY), encrypted(padded(b"[]")), b64(IV)),
    "no utf-8": (b64(KEY), encrypted(padded(b'{"a":"\xff"}')), b64(IV)),
    "endless json": (b64(KEY), encrypted(padded(b"[" * 100_000)), b64(IV)),
}


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT)
def test_nothing_tells_why_data_was_refused(spoilt: tuple[str, str, str]) -> None:
    assert b'{"a":1}' == decrypt_data(Secret(b64(KEY)), GOOD, b64(IV))
    assert ("the data does not fit the session", {}, None) == refusal(*spoilt)


@given(OBJECTS, BLOCKS, BLOCKS)
def test_any_object_comes_out_as_it_went_in(fields: dict[str, object], key: bytes, iv: bytes) -> None:
    plaintext = json.dumps(fields, ensure_ascii=False).encode()

    assert plaintext == decrypt_data(Secret(b64(key)), encrypted(padded(plaintext), key, iv), b64(iv))


@given(st.text(st.characters()), st.text(st.characters()), st.text(st.characters()))
def test_any_text_is_refused_in_the_same_way(key: str, data: str, iv: str) -> None:
    assert ("the data does not fit the session", {}, None) == refusal(key, data, iv)


@given(BLOCKS, st.binary(max_size=80) | st.lists(BLOCKS).map(b"".join), BLOCKS)
def test_any_bytes_are_refused_in_the_same_way(key: bytes, data: bytes, iv: bytes) -> None:
    for ciphertext in (b64(data), encrypted(padded(data + b"no object"), key, iv)):
        assert ("the data does not fit the session", {}, None) == refusal(b64(key), ciphertext, b64(iv))


def stamped(**watermark: object) -> bytes:
    return json.dumps(
        {"watermark": {"appid": "wx1", "timestamp": int(NOW.timestamp()), **watermark}}
    ).encode()


@pytest.mark.parametrize("seconds", [-60, 0, 3600])
def test_a_watermark_of_the_app_and_of_that_age_is_accepted(seconds: int) -> None:
    plaintext = stamped(timestamp=int(NOW.timestamp()) - seconds)

    check_watermark(plaintext, "wx1", HOUR, NOW)
    check_watermark(plaintext, "wx1", None, NOW)
    check_watermark(plaintext, None, HOUR, NOW)


@pytest.mark.parametrize(
    ("plaintext", "message"),
    [
        (stamped(appid="wx2"), "the data is of another mini-program"),
        (stamped(appid=None), "the data is of another mini-program"),
        (stamped(timestamp=int(NOW.timestamp()) - 3601), "the data is too old"),
        (stamped(timestamp=int(NOW.timestamp()) + 61), "the data is too old"),
        (stamped(timestamp=10**400), "the data is too old"),
        (stamped(timestamp=NOW.timestamp()), "the data is too old"),
        (stamped(timestamp="1"), "the data is too old"),
        (stamped(timestamp=True), "the data is too old"),
        (b"{}", "the data has no watermark"),
        (b'{"watermark":[]}', "the data has no watermark"),
        (b"[]", "the data has no watermark"),
        (b"\xff", "the data has no watermark"),
    ],
)
def test_another_watermark_is_refused(plaintext: bytes, message: str) -> None:
    with pytest.raises(DataRejected) as refused:
        check_watermark(plaintext, "wx1", HOUR, NOW)

    assert message == refused.value.message


def test_where_nothing_is_asked_of_the_watermark_none_is_needed() -> None:
    check_watermark(b"{}", None, None, NOW)


@given(st.binary(), st.none() | st.text(), st.none() | st.timedeltas())
def test_a_watermark_in_any_bytes_is_accepted_or_refused(
    plaintext: bytes, app_id: str | None, max_age: timedelta | None
) -> None:
    try:
        check_watermark(plaintext, app_id, max_age, NOW)
    except DataRejected:
        return
    assert (app_id, max_age) == (None, None)


@given(st.text(), st.text())
def test_the_signature_of_the_raw_data_and_no_other_is_valid(raw_data: str, key: str) -> None:
    signature = hashlib.sha1((raw_data + key).encode()).hexdigest()

    assert signature_valid(Secret(key), raw_data, signature)
    assert not signature_valid(Secret(key), raw_data + "x", signature)
    assert not signature_valid(Secret(key + "x"), raw_data, signature)
    assert not signature_valid(Secret(key), raw_data, signature[:-1])


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_is_a_signature_that_is_not_valid(raw_data: str, signature: str) -> None:
    assert not signature_valid(Secret("key"), raw_data, signature)


def test_the_documentation_s_signature_is_valid() -> None:
    # developers.weixin.qq.com, 开放数据校验与解密.
    raw_data = (
        '{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong",'
        '"country":"CN","avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol6503'
        'Iuswjjn6nIGBiaycAjAtpujxyzYsrztuuICqIM5ibXQ/0"}'
    )

    assert signature_valid(
        Secret("HyVFkGl5F5OQWJZZaNzBBg=="), raw_data, "75e81ceda165f4ffa64f4068af58c64b8f54b88c"
    )


@pytest.mark.parametrize("name", [b"a\x14b", b"a\nb", b"a\x00b", rb"a\ud800", "\uffff".encode()], ids=repr)
def test_data_with_an_odd_name_is_handed_on_as_it_came(name: bytes) -> None:
    plaintext = b'{"nickName":"%s","watermark":{"appid":"wx1"}}' % name

    assert plaintext == decrypt_data(Secret(b64(KEY)), encrypted(padded(plaintext)), b64(IV))
    check_watermark(plaintext, "wx1", None, datetime.now(UTC))
