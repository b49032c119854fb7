"""A credential is cut out of a message however it is written; nothing else is changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol.callbacks.message import Message, read_message
from broker.protocol.callbacks.redaction import CREDENTIALS, without_credentials

SECRET = "s3cret-Value_of.this/Test=="


def shown(text: str) -> Message:
    return without_credentials(read_message(text.encode()))


@pytest.mark.parametrize("name", ["AuthCode", "SuiteTicket", "authcode", "SUITETICKET", "PermanentCode"])
@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        f"<![CDATA[{SECRET}]]>",
        f" <![CDATA[{SECRET}]]>\n",
        f"![CDATA[{SECRET}]]",
        f"![CDATA[{SECRET}]]>",
        f"<![CDATA[{SECRET}]]",
        "".join(f"&#{ord(letter)};" for letter in SECRET),
        f"<![CDATA[{SECRET[:5]}]]><![CDATA[{SECRET[5:]}]]>",
        f"{SECRET[:5]}<!-- x -->{SECRET[5:]}",
        f"<Inner>{SECRET}</Inner>",
    ],
)
def test_a_credential_is_cut_out_of_xml(name: str, written: str) -> None:
    found = shown(f"<xml><State>1</State><{name}>{written}</{name}><Other>2</Other></xml>")

    assert SECRET not in found.text + repr(found.fields)
    assert SECRET[5:] not in found.text
    assert ("1", "2") == (found.fields["State"], found.fields["Other"])
    assert f"<xml><State>1</State><{name}></{name}><Other>2</Other></xml>" == found.text


def test_a_credential_is_cut_out_of_json() -> None:
    given_ = {"infotype": "create_auth", "authcode": SECRET, "a": [{"AccessToken": SECRET, "b": "企业"}]}
    found = shown(json.dumps(given_, ensure_ascii=False))

    assert SECRET not in found.text + repr(found.fields)
    assert {"infotype": "create_auth", "authcode": "", "a": [{"AccessToken": "", "b": "企业"}]} == json.loads(
        found.text
    )


def test_each_of_several_is_cut_out() -> None:
    found = shown(f"<xml><AuthCode>{SECRET}</AuthCode><X><AuthCode>{SECRET}2</AuthCode></X></xml>")

    assert SECRET not in found.text + repr(found.fields)


def test_a_credential_that_stands_elsewhere_too_takes_the_text_with_it() -> None:
    found = shown(f"<xml><AuthCode>{SECRET}</AuthCode><State>{SECRET}</State></xml>")

    assert "" == found.text


@given(st.text(alphabet="abcXYZ019-_=/+&;<>[]!]CDATA ", max_size=60))
def test_whatever_the_value_is_none_of_it_stays_in_its_element(value: str) -> None:
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    found = shown(f"<xml><InfoType>create_auth</InfoType><AuthCode>{escaped}</AuthCode></xml>")

    assert found.text in ("", "<xml><InfoType>create_auth</InfoType><AuthCode></AuthCode></xml>")
    assert "" == found.fields["AuthCode"]


def test_a_message_without_credentials_is_the_same_message() -> None:
    message = read_message(b"<xml><Token>conversation</Token><RegisterCode>RC</RegisterCode></xml>")

    assert without_credentials(message) is message


def test_the_names_are_compared_in_lower_case() -> None:
    assert all(name == name.lower() for name in CREDENTIALS)
