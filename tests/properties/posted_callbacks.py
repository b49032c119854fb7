"""Callbacks of all kinds, made of a seed: each good in all but one respect.

What is signed rightly may be sealed wrongly, and what is sealed rightly may be anything.
"""

import base64
import json
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from broker.domain.secret import Secret
from broker.protocol.callbacks.envelope import CallbackKeys, pad, seal, sign

KEYS = CallbackKeys(Secret("QDG6eK"), Secret("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"))
TIMESTAMP = "1409659813"

PLAIN = [
    (
        b"<xml><ToUserName><![CDATA[ww1child]]></ToUserName><FromUserName><![CDATA[zhang]]></FromUserName>"
        b"<CreateTime>1409659813</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hi]]></Content>"
        b"<MsgId>4561255354251345929</MsgId><AgentID>218</AgentID></xml>"
    ),
    (
        b"<xml><ToUserName><![CDATA[ww0parent]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>"
        b"<CreateTime>1403610513</CreateTime><MsgType><![CDATA[event]]></MsgType><Event>change_chain</Event>"
        b"<ChangeType><![CDATA[corp_join]]></ChangeType><ChainId>![CDATA[x]]</ChainId>"
        b"<CorpIds><CorpId>ww1</CorpId><CorpId>![CDATA[ww2]]></CorpId></CorpIds></xml>"
    ),
    (
        b"<xml><SuiteId><![CDATA[ww4]]></SuiteId><InfoType> <![CDATA[suite_ticket]]></InfoType>"
        b"<TimeStamp>1403610513</TimeStamp><SuiteTicket><![CDATA[asdf]]></SuiteTicket></xml>"
    ),
    (
        '{"tousername":"ww1child","fromusername":"张","createtime":1403610513,"msgtype":"event","event":"x"}'
    ).encode(),
]
"""Messages as WeCom sends them (wecom-api C4)."""
PIECES = [
    *[b"<a>", b"</a>", b"<a/>", b"<xml>", b"</xml>", b"<![CDATA[", b"![CDATA[", b"]]>", b"]]", b"<!--"],
    *[b"<!DOCTYPE a>", b'<!DOCTYPE a [<!ENTITY b "c">]>', b"&b;", b"&amp;", b"&#0;", b"&#xD800;", b"<?a b?>"],
    *[b'<?xml version="1.0" encoding="utf-16"?>', b' a="b"', b' xmlns="c"', b"<MsgType>", b"<Encrypt>"],
    *[b"{", b"}", b"[", b"]", b'"', b":", b",", b'"MsgType":"event"', b'"encrypt"', rb"\ud800", rb"\u0000"],
    *[b"1e999", b"-", b"9" * 30, b"NaN", b"null", b"true", b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b"\n"],
    *["企".encode(), "😀".encode(), b"\x1b", b"\xc2\x85", b".", b"a" * 65, b"-->", b"\0", b"\\", b"x"],
]
TEXTS = ["", "0", "-1", "now", "１", "é", "\ud800", "\0", "a" * 64, "9" * 10_000, "企" * 3000, "1409659813 "]
NEARLY_BASE64 = [*string.ascii_letters, *string.digits, *"+/=-é ", "\ud800"]
DEPTHS = [0, 1, 1, 2, 3, 5, 9, 10, 11, 60]
LARGE = 2000


@dataclass(frozen=True, slots=True)
class Posted:
    """One callback, as it comes over the wire."""

    body: bytes
    signature: str
    timestamp: str
    nonce: str
    meant: bytes | None = None
    """The message that WeCom signed: it may be refused, but not open as another. None = any will do."""


def posted(
    randomness: Random, encrypted: str, timestamp: str = TIMESTAMP, nonce: str | None = None
) -> Posted:
    nonce = str(randomness.randrange(10**10)) if nonce is None else nonce
    return Posted(
        enclosed(randomness, encrypted), sign(KEYS.token, timestamp, nonce, encrypted), timestamp, nonce
    )


def enclosed(randomness: Random, encrypted: str) -> bytes:
    if randomness.random() < 0.3:
        return json.dumps({"tousername": "ww0parent", "encrypt": encrypted, "agentid": 7}).encode()
    return (
        "<xml><ToUserName><![CDATA[ww0parent]]></ToUserName>"
        f"<Encrypt><![CDATA[{encrypted}]]></Encrypt><AgentID>7</AgentID></xml>"
    ).encode("utf-8", "surrogatepass")


def sealed(randomness: Random, message: bytes) -> str:
    return seal(
        KEYS, message, randomness.choice(["ww0parent", "ww1child", "", "企"]), randomness.randbytes(16)
    )


def encrypted_as_it_is(plaintext: bytes) -> str:
    encryptor = KEYS.cipher().encryptor()
    return base64.b64encode(encryptor.update(plaintext) + encryptor.finalize()).decode()


def pieces(randomness: Random) -> bytes:
    return b"".join(randomness.choices(PIECES, k=randomness.randrange(1, 20)))


def spoilt(randomness: Random, data: bytes) -> bytes:
    """Return the data with a few changes: bytes turned, cut out, put in, doubled or exchanged."""
    for _ in range(randomness.randrange(1, 4)):
        start, end = sorted(randomness.randrange(len(data) + 1) for _ in range(2))
        match randomness.randrange(6):
            case 0 if start < len(data):
                data = data[:start] + bytes([data[start] ^ 1 << randomness.randrange(8)]) + data[start + 1 :]
            case 1:
                data = data[:start]
            case 2:
                data = data[:start] + data[end:]
            case 3:
                data = data[:end] + data[start:]
            case 4:
                data = data[:start] + randomness.choice(PIECES) + data[start:]
            case _:
                data = data[:start] + randomness.choice(PLAIN)[start:]
    return data


def json_value(randomness: Random) -> object:
    """Return a value of JSON, mostly small, at times deeper than what is read."""
    value: object = randomness.choice(["a", "\ud800", "\0", 10**30, 1.5, float("inf"), True, None, [], {}])
    for _ in range(randomness.choice(DEPTHS)):
        others = {randomness.choice("abcd"): number for number in range(randomness.randrange(3))}
        value = randomness.choice(
            [[value], [value, value], {"a": value, **others}, {**others, "MsgType": value}]
        )
        if len(str(value)) > LARGE:
            break
    return value


def xml_tree(randomness: Random) -> bytes:
    """Return well-formed XML, mostly small, at times deeper than what is read."""
    names = [b"a", b"Event", b"MsgType", b"CorpId", b"a.b", randomness.choice([b"c", b"a" * 65])]
    inside = b"x"
    for _ in range(randomness.choice(DEPTHS)):
        name = randomness.choice(names)
        inside = b"<%s>%s</%s>" % (name, inside * randomness.choice([1, 1, 2]), name)
        if len(inside) > LARGE:
            break
    return b"<xml>%s</xml>" % inside


INSIDES: list[Callable[[Random], bytes]] = [
    lambda randomness: randomness.randbytes(randomness.randrange(200)),
    pieces,
    lambda randomness: b"<xml>" + pieces(randomness) + b"</xml>",
    lambda randomness: b"{" + pieces(randomness) + b"}",
    xml_tree,
    xml_tree,
    lambda randomness: json.dumps({"a": json_value(randomness), "Event": json_value(randomness)}).encode(),
    lambda randomness: json.dumps({"a": json_value(randomness), "b": {"c": json_value(randomness)}}).encode(),
    lambda randomness: (
        PLAIN[0].decode().encode(randomness.choice(["utf-16", "utf-16-le", "utf-32", "utf-7"]))
    ),
]


def good(randomness: Random) -> Posted:
    message = randomness.choice(PLAIN)
    return replace(posted(randomness, sealed(randomness, message)), meant=message)


def spoilt_outside(randomness: Random) -> Posted:
    one = good(randomness)
    return replace(one, body=spoilt(randomness, one.body))


def spliced(randomness: Random) -> Posted:
    one, other = good(randomness), good(randomness)
    end, start = randomness.randrange(len(one.body)), randomness.randrange(len(other.body))
    return replace(one, body=one.body[:end] + other.body[start:])


def noise_outside(randomness: Random) -> Posted:
    body = randomness.choice([pieces(randomness), randomness.randbytes(randomness.randrange(300))])
    return Posted(body, "0" * 40, TIMESTAMP, "1")


def foreign(randomness: Random) -> Posted:
    one, other, text = good(randomness), good(randomness), randomness.choice(TEXTS)
    return randomness.choice(
        [
            replace(one, signature=text),
            replace(one, timestamp=text),
            replace(one, nonce=text),
            replace(one, signature=other.signature),
            replace(one, body=other.body),
            replace(one, timestamp=one.timestamp + one.nonce[:1], nonce=one.nonce[1:]),
        ]
    )


def strange_words(randomness: Random) -> Posted:
    timestamp, nonce = (randomness.choice([*TEXTS, TIMESTAMP, TIMESTAMP]) for _ in range(2))
    return posted(randomness, sealed(randomness, randomness.choice(PLAIN)), timestamp, nonce)


def spoilt_sealed(randomness: Random) -> Posted:
    blocks = randomness.randbytes(16 * randomness.randrange(1, 9))
    raw = base64.b64decode(sealed(randomness, randomness.choice(PLAIN)))
    return posted(randomness, base64.b64encode(randomness.choice([spoilt(randomness, raw), blocks])).decode())


def no_base64(randomness: Random) -> Posted:
    return posted(randomness, "".join(randomness.choices(NEARLY_BASE64, k=randomness.randrange(1, 90))))


def forged_padding(randomness: Random) -> Posted:
    message = randomness.choice(PLAIN)
    data = randomness.randbytes(16) + len(message).to_bytes(4, "big") + message
    count = -len(data) % 16 + 16 * randomness.randrange(3)
    tails = [bytes([randomness.randrange(256)]) * count, bytes([count]) * count, randomness.randbytes(count)]
    return posted(randomness, encrypted_as_it_is(data + randomness.choice(tails)))


def forged_length(randomness: Random) -> Posted:
    message = randomness.choice(PLAIN)
    said = randomness.choice(
        [0, len(message) - 1, len(message) + 9, 2**31, 2**32 - 1, randomness.randrange(2**32)]
    )
    data = (
        randomness.randbytes(16)
        + said.to_bytes(4, "big")
        + message
        + randomness.randbytes(randomness.randrange(9))
    )
    return posted(randomness, encrypted_as_it_is(pad(data[: randomness.choice([0, 17, 19, 20, None, None])])))


def anything_sealed(randomness: Random) -> Posted:
    return posted(randomness, sealed(randomness, randomness.choice(INSIDES)(randomness)))


def spoilt_inside(randomness: Random) -> Posted:
    return posted(randomness, sealed(randomness, spoilt(randomness, randomness.choice(PLAIN))))


MAKERS: list[Callable[[Random], Posted]] = [
    good,
    spoilt_outside,
    spliced,
    noise_outside,
    foreign,
    strange_words,
    spoilt_sealed,
    no_base64,
    forged_padding,
    forged_length,
    anything_sealed,
    anything_sealed,
    anything_sealed,
    spoilt_inside,
    spoilt_inside,
]
