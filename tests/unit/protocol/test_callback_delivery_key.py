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


ROBOT = (
    b'{"msgid":"m-5f2c","aibotid":"aib-7Qd","chatid":"c1","chattype":"group","from":{"userid":"T12345"},'
    b'"response_url":"https://example.com/1","msgtype":"text","text":{"content":"hi"}}'
)


def test_a_repeat_of_a_message_has_its_key_however_it_is_laid_out() -> None:
    assert key(TEXT) == key(TEXT.replace(b"><", b">\n <").replace(b"\n <![", b"<!["))
    assert key(ROBOT) == key(ROBOT.replace(b",", b" ,\n"))


def test_a_robots_message_has_its_key_whatever_url_it_may_be_answered_at() -> None:
    assert key(ROBOT) == key(ROBOT.replace(b"example.com/1", b"example.com/2"))


def test_two_people_whose_messages_have_one_id_have_two_keys() -> None:
    assert key(TEXT) != key(TEXT.replace(b"zhang", b"li"))
    assert key(TEXT) != key(TEXT.replace(b"zhang", b"li").replace(b"<Content>a<", b"<Content>b<"))
    assert key(ROBOT) != key(ROBOT.replace(b"T12345", b"T54321"))


def test_a_repeat_of_an_event_has_its_key_however_it_is_laid_out() -> None:
    assert key(EVENT) == key(EVENT.replace(b"><", b">\n <").replace(b"\n <![", b"<!["))
    assert key(b'{"event":"x","agentid":1}') == key(b'{"agentid": 1, "event": "x"}')


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace(b"<MsgId>9<", b"<MsgId>10<"),
        TEXT.replace(b"ww0parent", b"ww1child"),
        TEXT.replace(b"1403610513", b"1403610514"),
        TEXT.replace(b"<Content>a<", b"<Content>b<"),
        ROBOT,
        ROBOT.replace(b"m-5f2c", b"m-5f2d"),
        ROBOT.replace(b"aib-7Qd", b"aib-7Qe"),
        ROBOT.replace(b'"c1"', b'"c2"'),
        EVENT,
        EVENT.replace(b"sys", b"zhang"),
        EVENT.replace(b"1403610513", b"1403610514"),
        EVENT.replace(b">subscribe<", b">unsubscribe<"),
        EVENT.replace(b"<ChangeType>x<", b"<ChangeType>y<"),
        EVENT.replace(b"</xml>", b"<UserID>li</UserID></xml>"),
    ],
)
def test_another_delivery_has_another_key(other: bytes) -> None:
    assert key(other) not in {key(known) for known in (TEXT, EVENT, ROBOT) if known != other}


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
