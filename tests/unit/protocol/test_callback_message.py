"""The messages in callbacks: each form that WeCom documents, and what nobody documents."""

import json
from datetime import UTC, datetime

import pytest

from broker.domain.errors import EnvelopeRejected
from broker.domain.events.event import EnvelopeProblem
from broker.protocol.callbacks.message import read_message
from tests.vectors import Vector, cases

THEN = datetime(2014, 6, 24, 11, 48, 33, tzinfo=UTC)
"""1403610513, the moment of most samples."""


def xml(**elements: str) -> bytes:
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in elements.items())
    return f"<xml>{inside}</xml>".encode()


def event(**elements: str) -> bytes:
    return xml(
        **{
            "ToUserName": "<![CDATA[ww0parent]]>",
            "FromUserName": "<![CDATA[sys]]>",
            "CreateTime": "1403610513",
            "MsgType": "<![CDATA[event]]>",
        }
        | elements
    )


def suite(info_type: str, **elements: str) -> bytes:
    head = {
        "SuiteId": "<![CDATA[ww4suite]]>",
        "InfoType": f"<![CDATA[{info_type}]]>",
        "TimeStamp": "1403610513",
    }
    return xml(**head | elements)


@pytest.mark.parametrize(**cases("protocol_fixture_event"))
def test_a_published_event_has_its_fields(vector: Vector) -> None:
    expected = vector["expected"]["fields"]
    message = read_message(vector["inputs"]["xml"].encode())

    assert expected == {name: value for name, value in message.fields.items() if "." not in name}
    assert vector["inputs"]["xml"] == message.text
    assert (expected.get("Event") or expected["InfoType"]) == message.event_type
    assert expected.get("ChangeType", "") == message.change_type
    assert THEN == message.created


@pytest.mark.parametrize(**cases("callback_decrypt_xml"))
def test_the_published_message_is_read(vector: Vector) -> None:
    expected = vector["expected"]
    message = read_message(expected["plaintext"].encode())

    assert "text" == message.event_type
    assert expected["to_user_name"] == message.to_user_name == message.corp_id
    assert expected["from_user_name"] == message.from_user_name
    assert expected["content"] == message.word("Content")
    assert "4561255354251345929" == message.word("MsgId")
    assert 218 == message.agent_id
    assert datetime(2014, 9, 2, 12, 10, 13, tzinfo=UTC) == message.created


SAMPLES = {
    "share_agent_change": (
        event(Event="<![CDATA[share_agent_change]]>", AgentID="1"),
        ("share_agent_change", "", "ww0parent", "sys", 1),
    ),
    "share_chain_change": (
        event(Event="<![CDATA[share_chain_change]]>", AgentID="1"),
        ("share_chain_change", "", "ww0parent", "sys", 1),
    ),
    "share_agent_change of a suite": (
        suite("share_agent_change", AppId="1", CorpId="<![CDATA[ww0parent]]>", AgentId="3"),
        ("share_agent_change", "", "ww0parent", "", 3),
    ),
    "share_agent_change of a suite, as printed": (
        suite("share_agent_change", AppId="1", CorpId="![CDATA[ww0parent]]>", AgentId="3"),
        ("share_agent_change", "", "ww0parent", "", 3),
    ),
    "share_chain_change of a suite, as copied": (
        suite("share_chain_change", AppId="1", CorpId="![CDATA[ww0parent]]", AgentId="3"),
        ("share_chain_change", "", "ww0parent", "", 3),
    ),
    "suite_ticket": (
        (
            b"<xml><SuiteId><![CDATA[ww4suite]]></SuiteId><InfoType> <![CDATA[suite_ticket]]></InfoType>"
            b"<TimeStamp>1403610513</TimeStamp><SuiteTicket><![CDATA[asdf]]></SuiteTicket></xml>"
        ),
        ("suite_ticket", "", "", "", 0),
    ),
    "create_auth": (suite("create_auth", AuthCode="c", State="123"), ("create_auth", "", "", "", 0)),
    "change_auth": (
        suite("change_auth", AuthCorpId="<![CDATA[ww5corp]]>", State="abc"),
        ("change_auth", "", "ww5corp", "", 0),
    ),
    "cancel_auth": (
        suite("cancel_auth", AuthCorpId="<![CDATA[ww5corp]]>"),
        ("cancel_auth", "", "ww5corp", "", 0),
    ),
    "reset_permanent_code": (
        suite("reset_permanent_code", AuthCode="c"),
        ("reset_permanent_code", "", "", "", 0),
    ),
    "change_app_admin": (
        event(Event="<![CDATA[change_app_admin]]>", AgentID="7"),
        ("change_app_admin", "", "ww0parent", "sys", 7),
    ),
    "change_editon": (
        suite("change_editon", PaidCorpId="<![CDATA[ww6paid]]>"),
        ("change_editon", "", "ww6paid", "", 0),
    ),
    "change_edition": (
        suite("change_edition", PaidCorpId="<![CDATA[ww6paid]]>"),
        ("change_edition", "", "ww6paid", "", 0),
    ),
    "subscribe": (
        event(ToUserName="ww1child", FromUserName="zhang", Event="subscribe", EventKey="", AgentID="1000002"),
        ("subscribe", "", "ww1child", "zhang", 1000002),
    ),
    "text": (
        event(ToUserName="ww1child", FromUserName="zhang", MsgType="text", Content="hi", MsgId="9"),
        ("text", "", "ww1child", "zhang", 0),
    ),
    "inactive_alert": (
        event(Event="inactive_alert", EffectTime="1403620513", AgentID="1"),
        ("inactive_alert", "", "ww0parent", "sys", 1),
    ),
    "change_chain": (
        event(Event="change_chain", ChangeType="corp_join", ChainId="![CDATA[x]]>", CorpId="ww1child"),
        ("change_chain", "corp_join", "ww0parent", "sys", 0),
    ),
    "json": (
        (
            b'{"tousername":"ww1child","fromusername":"zhang","createtime":1403610513,"msgtype":"event",'
            b'"event":"subscribe","changetype":"x","agentid":7}'
        ),
        ("subscribe", "x", "ww1child", "zhang", 7),
    ),
    "json in WeCom's case": (
        (
            b'{"ToUserName":"ww1child","FromUserName":"zhang","CreateTime":"1403610513","MsgType":"text",'
            b'"AgentID":"7"}'
        ),
        ("text", "", "ww1child", "zhang", 7),
    ),
}


@pytest.mark.parametrize(("plaintext", "expected"), SAMPLES.values(), ids=SAMPLES)
def test_a_documented_form_is_read(plaintext: bytes, expected: tuple[str, str, str, str, int]) -> None:
    message = read_message(plaintext)

    assert expected == (
        message.event_type,
        message.change_type,
        message.corp_id,
        message.from_user_name,
        message.agent_id,
    )
    assert THEN == message.created
    assert plaintext.decode() == message.text


NESTED = {
    "SpNo": "7",
    "Approver": "",
    "Approver.UserId": "a,b",
    "Approver.Tags": ",",
    "Approver.Tags.Tag": "1,2,3",
    "Empty": "",
}


def test_nested_elements_are_named_after_the_outer_and_repeated_ones_joined() -> None:
    message = read_message(
        b"<xml>\n <SpNo> 7 </SpNo>\n"
        b"<Approver> <UserId>a</UserId><Tags><Tag>1</Tag><Tag>2</Tag></Tags></Approver>"
        b"<Approver><UserId>b</UserId><Tags/><Tags></Tags><Tags><Tag>3</Tag></Tags></Approver>"
        b"<Empty> </Empty></xml>"
    )

    assert NESTED == message.fields
    assert list(NESTED) == list(message.fields)


def test_json_is_read_as_the_xml_that_it_stands_for() -> None:
    approvers = [
        {"UserId": "a", "Tags": {"Tag": [1, 2]}},
        {"UserId": "b", "Tags": ["", None, {"Tag": [[3]]}]},
    ]
    message = read_message(json.dumps({"SpNo": 7, "Approver": approvers, "Empty": None}).encode())

    assert NESTED == message.fields


def test_json_keeps_numbers_as_they_are_written() -> None:
    digits = "9" * 5000
    message = read_message(
        f'{{"a":{digits},"b":1e999,"c":-0.10,"d":NaN,"e":true,"f":false,"g":[],"h":{{}}}}'.encode()
    )

    assert {
        "a": digits,
        "b": "1e999",
        "c": "-0.10",
        "d": "NaN",
        "e": "true",
        "f": "false",
        "h": "",
    } == message.fields


def test_a_key_that_json_has_twice_is_a_repeated_element() -> None:
    assert {"a": "1,2"} == read_message(b'{"a":1,"a":2}').fields


def test_control_characters_and_halves_of_characters_are_replaced() -> None:
    message = read_message(rb'{"a\u0000":"x\u0000y\u001b[0m\ud800z\udfff\u009b","b":"\ud83d\ude00\t\n."}')

    assert {"a\ufffd": "x\ufffdy\ufffd[0m\ufffdz\ufffd\ufffd", "b": "😀\t\n."} == message.fields
    assert {"a": "x\ufffd"} == read_message("<xml><a>x\x85</a></xml>".encode()).fields


def test_a_name_in_its_own_case_comes_before_one_in_another() -> None:
    message = read_message(b"<xml><agentid>1</agentid><AgentID>2</AgentID></xml>")

    assert ("2", "1", "1", "") == tuple(map(message.word, ("AgentID", "agentid", "AGENTID", "Agent")))


def test_what_is_left_of_a_broken_cdata_is_no_part_of_a_word() -> None:
    message = read_message(b"<xml><a>![CDATA[ ww1\n]]</a><b>![CDATA[x]</b><c>x ![CDATA[y]]</c></xml>")

    assert ("ww1", "![CDATA[x]", "x ![CDATA[y]]") == tuple(map(message.word, "abc"))
    assert "![CDATA[ ww1\n]]" == message.fields["a"]


def test_only_a_document_that_is_not_well_formed_is_mended() -> None:
    content = b"<![CDATA[a>![CDATA[b]]>"

    assert "a>![CDATA[b" == read_message(b"<xml><Content>" + content + b"</Content></xml>").word("Content")


@pytest.mark.parametrize(
    ("plaintext", "expected"),
    [
        (b"<xml/>", "unknown"),
        (b"{}", "unknown"),
        (xml(MsgType="event"), "unknown"),
        (xml(MsgType="event", InfoType="suite_ticket"), "unknown"),
        (xml(MsgType="event", Event="a b"), "unknown"),
        (xml(MsgType="event", Event="a-b"), "unknown"),
        (xml(MsgType="event", Event="é"), "unknown"),
        (xml(MsgType="event", Event="a" * 65), "unknown"),
        (xml(MsgType="event", Event=" LOCATION\n"), "LOCATION"),
        (xml(MsgType="text", Event="subscribe"), "text"),
        (xml(MsgType="text", InfoType="suite_ticket"), "suite_ticket"),
        (xml(Event="subscribe"), "unknown"),
        (xml(MsgType=" event ", Event="enter_agent"), "enter_agent"),
    ],
)
def test_a_type_is_a_word_or_unknown(plaintext: bytes, expected: str) -> None:
    assert expected == read_message(plaintext).event_type


@pytest.mark.parametrize(
    "number", ["", "x", "-1", "1.0", "0x1", "1_0", "１", "+1", "9" * 19, "9" * 5000, "1,2"]
)
def test_an_agent_id_that_is_none_is_0(number: str) -> None:
    assert 0 == read_message(xml(AgentID=number)).agent_id


@pytest.mark.parametrize("number", ["", "x", "0", "-1", "1", "99999999", "1403610513000", "１" * 10])
def test_a_moment_that_is_none_is_none(number: str) -> None:
    assert read_message(xml(CreateTime=number)).created is None


def test_what_is_no_corp_id_is_not_taken_for_one() -> None:
    assert "ww2" == read_message(xml(ToUserName="a b", AuthCorpId="é" * 3, PaidCorpId="ww2")).corp_id
    assert "ww1" == read_message(xml(CorpId="ww1")).corp_id
    assert "" == read_message(xml(ToUserName="w" * 65, SuiteId="ww3")).corp_id


def test_a_message_does_not_show_what_is_in_it() -> None:
    assert "Message()" == repr(read_message(xml(SuiteTicket="secret")))


REFUSED = {
    "empty": b"",
    "blank": b" \n",
    "text": b"hello",
    "a number": b"1616140317555161061",
    "a list": b"[]",
    "junk": bytes(range(256)) * 1024,
    "utf-16": "<xml/>".encode("utf-16"),
    "json in utf-16": '{"a":1}'.encode("utf-16-le"),
    "cut off": b"<xml><a>",
    "a DTD": b"<!DOCTYPE xml><xml/>",
    "an external entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml><a>&e;</a></xml>',
    "deep": b"<a>" * 12 + b"</a>" * 12,
    "very deep": b"<a>" * 80_000 + b"</a>" * 80_000,
    "wide": b"<xml>" + b"<a/>" * 4000 + b"</xml>",
    "a long name": b"<" + b"a" * 65 + b"/>",
    "json cut off": b'{"a":',
    "two of json": b"{}{}",
    "deep json": b'{"a":' * 11 + b"1" + b"}" * 11,
    "very deep json": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep lists": b'{"a":' + b"[" * 12 + b"]" * 12 + b"}",
    "very deep lists": b'{"a":' + b"[" * 100_000,
    "wide json": b'{"a":[' + b"1," * 4000 + b"1]}",
    "a long name in json": b'{"' + b"a" * 65 + b'":1}',
}


@pytest.mark.parametrize("plaintext", REFUSED.values(), ids=REFUSED)
def test_what_is_no_message_is_refused(plaintext: bytes) -> None:
    with pytest.raises(EnvelopeRejected) as refused:
        read_message(plaintext)

    assert EnvelopeProblem.FORMAT == refused.value.problem


def test_as_much_as_the_bounds_allow_is_read() -> None:
    deep = read_message(b"<a>" * 10 + b"<a>x</a>" + b"</a>" * 10)
    wide = read_message(b"<xml>" + b"<a/>" * 3999 + b"</xml>")
    long = read_message(b"<xml><" + b"a" * 64 + b"/></xml>")

    assert "x" == deep.fields[".".join("a" * 10)]
    assert "," * 3998 == wide.fields["a"]
    assert {"a" * 64: ""} == long.fields
