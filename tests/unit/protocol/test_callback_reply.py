"""Passive replies: what may be one, and that none is ever taken for a callback."""

import json
import secrets

import pytest

from broker.domain.errors import EnvelopeRejected
from broker.domain.secret import Secret
from broker.protocol.callbacks.envelope import CallbackKeys, check_signature, open_sealed
from broker.protocol.callbacks.message import read_message
from broker.protocol.callbacks.outside import read_envelope
from broker.protocol.callbacks.reply import (
    is_marked,
    mark,
    sealed_reply,
    sealed_robot_reply,
    why_no_reply,
)
from tests.kit.callbacks.vectors import ROBOT_SEALED
from tests.vectors import Vector, cases

KEYS = CallbackKeys(Secret("QDG6eK"), Secret("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"))
SAME_KEYS = CallbackKeys(Secret("QDG6eK"), Secret("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"))
OTHER_KEYS = CallbackKeys(Secret("QDG6eK"), Secret("A" * 43))


def xml(**fields: str) -> str:
    parts = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in fields.items())
    return f"<xml><ToUserName>lisi</ToUserName><FromUserName>ww1</FromUserName>{parts}</xml>"


def problem(message: str) -> str:
    return why_no_reply(read_message(message.encode()))


def test_what_is_sealed_as_a_reply_is_marked_on_every_replica() -> None:
    for _ in range(100):
        random = secrets.token_bytes(16)
        body = sealed_reply(KEYS, b"<xml/>", "ww1", timestamp=7, nonce="n", random=random)
        robots = json.loads(sealed_robot_reply(KEYS, b"{}", timestamp=7, nonce="n", random=random))
        for encrypted in (read_envelope(body).encrypted, robots["encrypt"]):
            assert is_marked(SAME_KEYS, open_sealed(KEYS, encrypted).random)


def test_two_replies_differ_in_half_of_their_random_bytes() -> None:
    randoms = {mark(KEYS, secrets.token_bytes(16)) for _ in range(100)}

    assert {16} == set(map(len, randoms))
    assert 100 == len({random[:8] for random in randoms}) == len({random[8:] for random in randoms})


def test_nobody_without_the_key_makes_a_mark() -> None:
    random = secrets.token_bytes(16)

    assert not is_marked(KEYS, random)
    assert not is_marked(KEYS, mark(OTHER_KEYS, random))
    assert not is_marked(KEYS, mark(KEYS, random)[:15])


@pytest.mark.parametrize(**cases("callback_decrypt_xml"))
def test_a_published_callback_is_not_marked(vector: Vector) -> None:
    inputs = vector["inputs"]
    keys = CallbackKeys(Secret(inputs["token"]), Secret(inputs["encoding_aes_key"]))

    assert not is_marked(keys, open_sealed(keys, read_envelope(inputs["body"].encode()).encrypted).random)
    assert not is_marked(KEYS, open_sealed(KEYS, ROBOT_SEALED).random)


def test_wecom_reads_a_reply_as_before() -> None:
    body = sealed_reply(
        KEYS, b"<xml>hi</xml>", "ww1", timestamp=1409659813, nonce="1372623149", random=b"0123456789abcdef"
    )
    encrypted = read_envelope(body).encrypted
    signature = body.partition(b"<MsgSignature><![CDATA[")[2][:40].decode()
    check_signature(KEYS, signature, "1409659813", "1372623149", encrypted)
    opened = open_sealed(KEYS, encrypted)

    assert (b"<xml>hi</xml>", "ww1") == (opened.message, opened.receive_id)
    assert b"01234567" == opened.random[:8]


DOCUMENTED = [
    xml(CreateTime="1", MsgType="text", Content="hi"),
    xml(MsgType="image").replace("</xml>", "<Image><MediaId>m</MediaId></Image></xml>"),
    xml(MsgType="voice").replace("</xml>", "<Voice><MediaId>m</MediaId></Voice></xml>"),
    xml(MsgType="video").replace("</xml>", "<Video><MediaId>m</MediaId><Title>t</Title></Video></xml>"),
    xml(MsgType="news", ArticleCount="2").replace(
        "</xml>", "<Articles><item><Title>a</Title></item><item><Title>b</Title></item></Articles></xml>"
    ),
    xml(MsgType="update_button").replace("</xml>", "<Button><ReplaceName>ok</ReplaceName></Button></xml>"),
    xml(MsgType="update_template_card").replace(
        "</xml>",
        "<TemplateCard><CardType>text_notice</CardType><ActionMenu><ActionList><Key>A</Key></ActionList>"
        "</ActionMenu></TemplateCard></xml>",
    ),
    '{"msgtype":"text","text":{"content":"hi"}}',
    '{"msgtype":"template_card","template_card":{"card_type":"multiple_interaction","task_id":"1"}}',
    '{"msgtype":"stream","stream":{"id":"1","finish":true,"msg_item":[{"msgtype":"image","image":{"md5":"x"}}]}}',
    '{"msgtype":"stream_with_template_card","stream":{"id":"1"},"template_card":{"feedback":{"id":"f"}}}',
    '{"response_type":"update_template_card","userids":["a","b"],"template_card":{"card_type":"x"}}',
]
"""Of docs 90241 and 101031."""


@pytest.mark.parametrize("message", DOCUMENTED)
def test_every_documented_reply_is_one(message: str) -> None:
    assert "" == problem(message)


NAMES = [
    *("Event", "EventKey", "InfoType", "MsgId", "SuiteTicket", "SuiteId", "AuthCode", "AuthCorpId"),
    *("ChangeType", "ServiceCorpId", "PermanentCode", "CorpId", "PaidCorpId", "event", "EVENT", "msgid"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_reply_with_a_field_of_a_callback_is_none(name: str) -> None:
    assert name.lower() in problem(xml(MsgType="text", Content="hi", **{name: "x"}))
    nested = xml(MsgType="text").replace("</xml>", f"<{name}><a>x</a></{name}></xml>")
    assert name.lower() in problem(nested)
    assert name.lower() in problem(json.dumps({"msgtype": "text", name: {"eventtype": "enter_chat"}}))


@pytest.mark.parametrize("name", ["aibotid", "chatid", "chattype", "from", "response_url", "ToUserName"])
def test_a_reply_to_a_robot_with_a_field_of_its_callbacks_is_none(name: str) -> None:
    assert name.lower() in problem(json.dumps({"msgtype": "text", name: "x"}))


@pytest.mark.parametrize(
    "message",
    [
        "<xml/>",
        "<xml>text</xml>",
        xml(Content="no type"),
        xml(MsgType="event"),
        xml(MsgType="link"),
        xml(MsgType="location"),
        xml(MsgType="Text"),
        xml(MsgType="text").replace("</xml>", "<MsgType>event</MsgType></xml>"),
        xml(MsgType="text").replace("</xml>", "<msgtype>event</msgtype></xml>"),
        xml(MsgType="text").replace("</xml>", "<fromusername>ww2</fromusername></xml>"),
        "{}",
        '{"msgtype":"event"}',
        '{"msgtype":"mixed"}',
        '{"msgtype":["text","event"]}',
        '{"msgtype":"text","msgtype":"event"}',
        '{"msgtype":"text","MsgType":"event"}',
        '{"MsgType":"text"}',
        '{"response_type":"other"}',
        '{"msgtype":"text","response_type":"update_template_card"}',
    ],
)
def test_what_is_no_documented_reply_is_none(message: str) -> None:
    assert problem(message)


@pytest.mark.parametrize(
    ("name", "message"),
    {
        "a type twice": xml(MsgType="text").replace("</xml>", "<MsgType>event</MsgType></xml>"),
        "an event within blanks": xml(MsgType=" event "),
        "another spelling": xml(MsgType="text", msgtype="event"),
        "a prefix": xml(MsgType="text").replace("</xml>", "<x:Event>subscribe</x:Event></xml>"),
        "a namespace": xml(MsgType="text")
        .replace("<xml>", "<xml xmlns:x='u'>")
        .replace("</xml>", "<x:InfoType/></xml>"),
        "capitals": xml(MsgType="text", EVENT="subscribe"),
        "a NUL": xml(MsgType="text\0").replace("</xml>", "<Event>subscribe</Event></xml>"),
        "another root": xml(MsgType="text", Event="subscribe").replace("xml>", "event>"),
        "a type twice in JSON": '{"msgtype":"text","msgtype":"event"}',
        "another spelling in JSON": '{"msgtype":"text","MsgType":"event"}',
        "an escaped name": '{"msgtype":"text","\\u0065vent":{}}',
        "a prefix in JSON": '{"msgtype":"text","x:event":{}}',
        "a BOM": '\ufeff{"msgtype":"event"}',
    }.items(),
)
def test_what_another_reader_might_take_for_a_callback_is_no_reply(name: str, message: str) -> None:
    assert problem(message), name


@pytest.mark.parametrize(
    "message",
    [
        xml(MsgType="text") + xml(MsgType="text", Event="subscribe"),
        xml(MsgType="text") + '{"msgtype":"event"}',
        '{"msgtype":"text"}' + xml(MsgType="text", Event="subscribe"),
        '[{"msgtype":"text"}]',
        xml(MsgType="text").replace("MsgType>", "ＭsgType>"),
    ],
)
def test_what_is_two_messages_or_none_is_not_read(message: str) -> None:
    with pytest.raises(EnvelopeRejected):
        read_message(message.encode())
