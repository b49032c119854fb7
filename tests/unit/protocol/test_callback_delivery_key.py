"""What tells one delivery of a callback from another, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol.callbacks.message import Message, delivery_key, read_message


def key(plaintext: bytes) -> str:
    return delivery_key(read_message(plaintext))


TEXT = (
    b"<xml><ToUserName><![CDATA[ww0parent]]></ToUserName><FromUserName><![CDATA[zhang]]></FromUserName>"
    b"<CreateTime>1403610513</CreateTime><MsgType>text</MsgType><Content>a</Content><MsgId>9</MsgId></xml>"
)
EVENT = (
    b"<xml><ToUserName><![CDATA[ww0parent]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>"
    b"<CreateTime>1403610513</CreateTime><MsgType>event</MsgType><Event>subscribe</Event>"
    b"<ChangeType>x</ChangeType></xml>"
)


def test_a_repeat_of_a_message_has_its_key_whatever_else_is_in_it() -> None:
    assert key(TEXT) == key(TEXT.replace(b"<Content>a<", b"<Content>b<"))
    assert key(TEXT) == key(b'{"msgid":9,"tousername":"ww0parent"}')


def test_a_repeat_of_an_event_has_its_key_however_it_is_laid_out() -> None:
    assert key(EVENT) == key(EVENT.replace(b"><", b">\n <").replace(b"\n <![", b"<!["))
    assert key(b'{"event":"x","agentid":1}') == key(b'{"agentid": 1, "event": "x"}')


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace(b"<MsgId>9<", b"<MsgId>10<"),
        TEXT.replace(b"ww0parent", b"ww1child"),
        EVENT,
        EVENT.replace(b"sys", b"zhang"),
        EVENT.replace(b"1403610513", b"1403610514"),
        EVENT.replace(b">subscribe<", b">unsubscribe<"),
        EVENT.replace(b"<ChangeType>x<", b"<ChangeType>y<"),
        EVENT.replace(b"</xml>", b"<UserID>li</UserID></xml>"),
    ],
)
def test_another_delivery_has_another_key(other: bytes) -> None:
    known = {key(TEXT), key(EVENT)} if other != EVENT else {key(TEXT)}

    assert key(other) not in known


def test_a_key_tells_nothing_of_what_is_in_the_message() -> None:
    ticket = key(b"<xml><InfoType>suite_ticket</InfoType><SuiteTicket>secret</SuiteTicket></xml>")

    assert 64 == len(ticket)
    assert set(ticket) <= set("0123456789abcdef")


FIELDS = st.dictionaries(st.text("ab,.", max_size=3), st.text('ab,."', max_size=3), max_size=3)


@given(FIELDS, FIELDS)
def test_fields_that_differ_have_keys_that_differ(one: dict[str, str], other: dict[str, str]) -> None:
    assert (one == other) == (delivery_key(Message("", one)) == delivery_key(Message("", other)))


PAIRS = st.tuples(st.text("a,", max_size=3), st.text("a,", min_size=1, max_size=3))


@given(PAIRS, PAIRS)
def test_corps_and_ids_do_not_run_into_each_other(one: tuple[str, str], other: tuple[str, str]) -> None:
    keys = {
        delivery_key(Message("", {"ToUserName": corp, "MsgId": number, "Content": number}))
        for corp, number in (one, other)
    }

    assert len({one, other}) == len(keys)
