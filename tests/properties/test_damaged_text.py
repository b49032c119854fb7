"""Whatever happens to the bytes of a text, the message that was opened with the right key is not lost."""

import json
from collections.abc import Callable
from xml.etree.ElementTree import fromstring

from hypothesis import example, given
from hypothesis import strategies as st

from broker.domain.secret import Secret
from broker.protocol.callbacks.envelope import CallbackKeys, open_sealed, seal
from broker.protocol.callbacks.message import Message, read_message

KEYS = CallbackKeys(Secret("QDG6eK"), Secret("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"))
ODD = [
    *(bytes([code]) for code in range(0x20)),
    *[b"\xed\xa0\xbd", b"\xed\xb8\x80", b"\xef\xbf\xbe", b"\xef\xbf\xbf", b"\xf0\x9f\x98", b"\xc0\x80"],
    *[b"&#x8;", b"&#xD83D;", b"&#xDE00;", b"&#xFFFF;", b"&#9999999999;", b"&#x110000;", b"]]>", b"&", b"<"],
    *[b"\xef\xbb\xbf", b"\x7f", b"\xc2\x85"],
]
WRITTEN = st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass"))
PIECES = st.one_of(st.binary(max_size=8), st.sampled_from(ODD), WRITTEN)
DAMAGED = st.lists(PIECES, max_size=12).map(b"".join)


def opened(plaintext: bytes) -> Message:
    return read_message(open_sealed(KEYS, seal(KEYS, plaintext, "ww0parent", bytes(16))).message)


def check(message: Message, parse: Callable[[str], object]) -> None:
    assert ("text", "u", "1") == (message.event_type, message.from_user_name, message.word("MsgId"))
    parse(message.text)


@given(DAMAGED.map(lambda text: text.replace(b"]]>", b"]]]]><![CDATA[>")))
@example(b"\xed\xa0\xbd\xed\xb8\x80")
def test_a_section_of_any_bytes_costs_no_message(text: bytes) -> None:
    message = opened(
        b"<xml><FromUserName>u</FromUserName><MsgType>text</MsgType>"
        b"<Content><![CDATA[%s]]></Content><MsgId>1</MsgId></xml>" % text
    )

    check(message, fromstring)


@given(DAMAGED.filter(lambda text: b">" not in text and b"<!" not in text and b"<?" not in text))
def test_plain_text_of_any_bytes_but_tags_costs_no_message(text: bytes) -> None:
    message = opened(
        b"<xml><FromUserName>u</FromUserName><MsgType>text</MsgType>"
        b"<Content>%s</Content><MsgId>1</MsgId></xml>" % text
    )

    check(message, fromstring)


@given(DAMAGED.map(lambda text: text.replace(b'"', b"'")).filter(lambda text: not text.endswith(b"\\")))
def test_a_string_of_any_bytes_costs_no_message(text: bytes) -> None:
    message = opened(b'{"msgid":"1","from":{"userid":"u"},"msgtype":"text","text":{"content":"%s"}}' % text)

    check(message, json.loads)
