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


def posted(chance: Random, encrypted: str, timestamp: str = TIMESTAMP, nonce: str | None = None) -> Posted:
    nonce = str(chance.randrange(10**10)) if nonce is None else nonce
    return Posted(
        enclosed(chance, encrypted), sign(KEYS.token, timestamp, nonce, encrypted), timestamp, nonce
    )


def enclosed(chance: Random, encrypted: str) -> bytes:
    if chance.random() < 0.3:
        return json.dumps({"tousername": "ww0parent", "encrypt": encrypted, "agentid": 7}).encode()
    return (
        "<xml><ToUserName><![CDATA[ww0parent]]></ToUserName>"
        f"<Encrypt><![CDATA[{encrypted}]]></Encrypt><AgentID>7</AgentID></xml>"
    ).encode("utf-8", "surrogatepass")


def sealed(chance: Random, message: bytes) -> str:
    return seal(KEYS, message, chance.choice(["ww0parent", "ww1child", "", "企"]), chance.randbytes(16))


def encrypted_as_it_is(plaintext: bytes) -> str:
    encryptor = KEYS.cipher().encryptor()
    return base64.b64encode(encryptor.update(plaintext) + encryptor.finalize()).decode()


def pieces(chance: Random) -> bytes:
    return b"".join(chance.choices(PIECES, k=chance.randrange(1, 20)))


def spoilt(chance: Random, data: bytes) -> bytes:
    """Return the data with a few changes: bytes turned, cut out, put in, doubled or exchanged."""
    for _ in range(chance.randrange(1, 4)):
        start, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0 if start < len(data):
                data = data[:start] + bytes([data[start] ^ 1 << chance.randrange(8)]) + data[start + 1 :]
            case 1:
                data = data[:start]
            case 2:
                data = data[:start] + data[end:]
            case 3:
                data = data[:end] + data[start:]
            case 4:
                data = data[:start] + chance.choice(PIECES) + data[start:]
            case _:
                data = data[:start] + chance.choice(PLAIN)[start:]
    return data


def json_value(chance: Random) -> object:
    """Return a value of JSON, mostly small, at times deeper than what is read."""
    value: object = chance.choice(["a", "\ud800", "\0", 10**30, 1.5, float("inf"), True, None, [], {}])
    for _ in range(chance.choice(DEPTHS)):
        others = {chance.choice("abcd"): number for number in range(chance.randrange(3))}
        value = chance.choice([[value], [value, value], {"a": value, **others}, {**others, "MsgType": value}])
        if len(str(value)) > LARGE:
            break
    return value


def xml_tree(chance: Random) -> bytes:
    """Return well-formed XML, mostly small, at times deeper than what is read."""
    names = [b"a", b"Event", b"MsgType", b"CorpId", b"a.b", chance.choice([b"c", b"a" * 65])]
    inside = b"x"
    for _ in range(chance.choice(DEPTHS)):
        name = chance.choice(names)
        inside = b"<%s>%s</%s>" % (name, inside * chance.choice([1, 1, 2]), name)
        if len(inside) > LARGE:
            break
    return b"<xml>%s</xml>" % inside


INSIDES: list[Callable[[Random], bytes]] = [
    lambda chance: chance.randbytes(chance.randrange(200)),
    pieces,
    lambda chance: b"<xml>" + pieces(chance) + b"</xml>",
    lambda chance: b"{" + pieces(chance) + b"}",
    xml_tree,
    xml_tree,
    lambda chance: json.dumps({"a": json_value(chance), "Event": json_value(chance)}).encode(),
    lambda chance: json.dumps({"a": json_value(chance), "b": {"c": json_value(chance)}}).encode(),
    lambda chance: PLAIN[0].decode().encode(chance.choice(["utf-16", "utf-16-le", "utf-32", "utf-7"])),
]


def good(chance: Random) -> Posted:
    message = chance.choice(PLAIN)
    return replace(posted(chance, sealed(chance, message)), meant=message)


def spoilt_outside(chance: Random) -> Posted:
    one = good(chance)
    return replace(one, body=spoilt(chance, one.body))


def spliced(chance: Random) -> Posted:
    one, other = good(chance), good(chance)
    end, start = chance.randrange(len(one.body)), chance.randrange(len(other.body))
    return replace(one, body=one.body[:end] + other.body[start:])


def noise_outside(chance: Random) -> Posted:
    body = chance.choice([pieces(chance), chance.randbytes(chance.randrange(300))])
    return Posted(body, "0" * 40, TIMESTAMP, "1")


def foreign(chance: Random) -> Posted:
    one, other, text = good(chance), good(chance), chance.choice(TEXTS)
    return chance.choice(
        [
            replace(one, signature=text),
            replace(one, timestamp=text),
            replace(one, nonce=text),
            replace(one, signature=other.signature),
            replace(one, body=other.body),
            replace(one, timestamp=one.timestamp + one.nonce[:1], nonce=one.nonce[1:]),
        ]
    )


def strange_words(chance: Random) -> Posted:
    timestamp, nonce = (chance.choice([*TEXTS, TIMESTAMP, TIMESTAMP]) for _ in range(2))
    return posted(chance, sealed(chance, chance.choice(PLAIN)), timestamp, nonce)


def spoilt_sealed(chance: Random) -> Posted:
    blocks = chance.randbytes(16 * chance.randrange(1, 9))
    raw = base64.b64decode(sealed(chance, chance.choice(PLAIN)))
    return posted(chance, base64.b64encode(chance.choice([spoilt(chance, raw), blocks])).decode())


def no_base64(chance: Random) -> Posted:
    return posted(chance, "".join(chance.choices(NEARLY_BASE64, k=chance.randrange(1, 90))))


def forged_padding(chance: Random) -> Posted:
    message = chance.choice(PLAIN)
    data = chance.randbytes(16) + len(message).to_bytes(4, "big") + message
    count = -len(data) % 16 + 16 * chance.randrange(3)
    tails = [bytes([chance.randrange(256)]) * count, bytes([count]) * count, chance.randbytes(count)]
    return posted(chance, encrypted_as_it_is(data + chance.choice(tails)))


def forged_length(chance: Random) -> Posted:
    message = chance.choice(PLAIN)
    said = chance.choice([0, len(message) - 1, len(message) + 9, 2**31, 2**32 - 1, chance.randrange(2**32)])
    data = chance.randbytes(16) + said.to_bytes(4, "big") + message + chance.randbytes(chance.randrange(9))
    return posted(chance, encrypted_as_it_is(pad(data[: chance.choice([0, 17, 19, 20, None, None])])))


def anything_sealed(chance: Random) -> Posted:
    return posted(chance, sealed(chance, chance.choice(INSIDES)(chance)))


def spoilt_inside(chance: Random) -> Posted:
    return posted(chance, sealed(chance, spoilt(chance, chance.choice(PLAIN))))


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
