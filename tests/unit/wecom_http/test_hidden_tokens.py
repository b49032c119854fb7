"""A token that WeCom echoes is cut out however it is written; file names are names alone."""

import base64
import html
import json
import time
from collections.abc import AsyncIterator
from urllib.parse import quote, unquote

import pytest

from broker.adapters.wecom.call import Answer, Call
from broker.adapters.wecom.passthrough import Passthrough
from broker.adapters.wecom.redaction import _pattern, cut_out
from broker.adapters.wecom.upload import LONGEST_NAME, base_name
from broker.domain.errors import WecomProtocol
from broker.domain.ports.passthrough import ApiCall, MediaHead
from tests.unit.wecom_http.recorders import Surroundings, answering, app, parent_with, speaking

TOKEN = "Tk-9_aZ/b+c=d%e" + "Q7xw" * 20
TOKENS = [TOKEN, TOKEN.replace("%", "~")]
"""One with a character that escapes begin with, and an ordinary one."""
GET_USER = ApiCall("GET", "/cgi-bin/user/get", (), b"")


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def percent(text: str) -> str:
    return "".join(f"%{ord(character):02X}" for character in text)


def entities(text: str, form: str = "&#{};") -> str:
    return "".join(form.format(ord(character)) for character in text)


def hidden(token: str) -> dict[str, str]:
    """Return how WeCom may write a token."""
    return {
        "plain": token,
        "escaped": escaped(token),
        "escaped in capitals": escaped(token).upper().replace("\\U", "\\u"),
        "in part": escaped(token[:5]) + token[5:],
        "every second": "".join(c if n % 2 else escaped(c) for n, c in enumerate(token)),
        "slashes": token.replace("/", "\\/"),
        "percent": percent(token),
        "percent where needed": quote(token, safe=""),
        "percent twice": quote(percent(token), safe=""),
        "percent thrice": quote(quote(percent(token), safe=""), safe=""),
        "percent, escaped": escaped(percent(token)),
        "escaped, percent": quote(escaped(token), safe="").replace("%5C", "%5c"),
        "json in json": json.dumps(json.dumps({"t": token.replace("/", "\\/")}))[1:-1],
        "escaped json in json": json.dumps('{"t":"' + escaped(token) + '"}')[1:-1],
        "html": entities(token),
        "html in hex": entities(token, "&#x{:x};"),
        "html with zeros": entities(token, "&#{:04};"),
        "base64": base64.b64encode(token.encode()).decode(),
        "base64 behind one": base64.b64encode(b"x" + token.encode() + b"yz").decode(),
        "base64 behind two": base64.b64encode(b"xy" + token.encode() + b"z").decode(),
        "base64 of URLs": base64.urlsafe_b64encode(b"token=" + token.encode()).decode(),
        "base64 escaped": base64.b64encode(token.encode()).decode().replace("/", "\\/"),
    }


FORMS = list(hidden(TOKEN))


def readings(text: str) -> set[str]:
    """Return what a reader may make of a text."""
    found = {text}
    for _ in range(4):
        found |= {unquote(each) for each in found}
        found |= {html.unescape(each) for each in found}
        for each in list(found):
            try:
                found.add(json.loads(f'"{each}"'))
            except ValueError:
                continue
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("token", TOKENS, ids=["any character", "ordinary"])
@pytest.mark.parametrize(
    "around", ['{"errcode":1,"a":"HERE","b":["kept 中文"]}', '{"a":{"HERE":"kept 中文"}}']
)
def test_a_hidden_token_is_cut_out_and_the_rest_stays(form: str, token: str, around: str) -> None:
    cut = cut_out(token, around.replace("HERE", hidden(token)[form]).encode())

    assert "kept 中文" in cut.decode()
    found = json.loads(cut)
    assert isinstance(found, dict)
    for text in readings(json.dumps(found, ensure_ascii=False)):
        assert token not in text
    assert base64.b64encode(token.encode())[:40] not in cut
    assert b"***" in cut


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("token", TOKENS, ids=["any character", "ordinary"])
def test_a_text_that_is_no_json_keeps_no_token_either(form: str, token: str) -> None:
    cut = cut_out(token, f"invalid token {hidden(token)[form]}, hint".encode())

    assert all(token not in text for text in readings(cut.decode()))
    assert b"***" in cut


def test_an_ordinary_answer_costs_no_pattern_of_the_token() -> None:
    _pattern.cache_clear()
    for number in range(10):
        text = b'{"errcode":0,"name":"\\u4e2d","avatar":"https:\\/\\/x\\/?a=%20"}'
        assert text == cut_out(f"{TOKENS[1]}{number}", text)
    assert 0 == _pattern.cache_info().misses


@pytest.mark.parametrize(
    "text", ['{"a":"100%25 \\u4e2d &#20013; \\\\ \\" %41 \\u0041"}', "{}", '{"a":1e3}', "plain \\ text %"]
)
def test_a_text_without_the_token_comes_as_it_is(text: str) -> None:
    assert text.encode() == cut_out(TOKEN, text.encode())


def test_three_megabytes_of_escapes_take_no_long_time() -> None:
    body = json.dumps({"a": "企业" * 250_000}).encode()
    began = time.process_time()
    assert body == cut_out(TOKEN, body)

    assert time.process_time() - began < 1.5


async def one_chunk() -> AsyncIterator[bytes]:
    yield b"x"


async def test_body_message_and_headers_show_no_token(around: Surroundings) -> None:
    token = parent_with(TOKEN)
    body = {"errcode": 40058, "errmsg": f"bad {percent(percent(TOKEN))}", "media_id": TOKEN}
    async with answering(body) as (url, _), around.wecom(url) as wecom:
        passing = Passthrough(wecom.client)
        answer = await passing.call(token, GET_USER)
        assert TOKEN not in answer.errmsg
        assert TOKEN.encode() not in answer.body

        _, media_id = await passing.upload(token, "file", MediaHead("a", "b/c"), one_chunk())
        assert "***" == media_id


async def test_the_name_and_type_of_a_file_show_no_token(around: Surroundings) -> None:
    token = parent_with("TokenOfTheParent12345")
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: x/TokenOfTheParent12345\r\n"
        b'Content-Disposition: attachment; filename="a-TokenOfTheParent12345.txt"\r\n\r\nab'
    )
    async with speaking(head) as (url, _), around.wecom(url) as wecom:
        pieces = [piece async for piece in Passthrough(wecom.client).download(token, "media-1")]

    assert isinstance(pieces[0], MediaHead)
    assert "a-***.txt" == pieces[0].file_name
    assert "tokenoftheparent12345" not in pieces[0].content_type.lower()


@pytest.mark.parametrize(
    "value", ["", " ", "a b", "a\n", "令牌", "\x7f", "\ud800", "x" * 4097, None, 5, ["x"]]
)
def test_a_secret_that_no_query_could_carry_is_none(value: object) -> None:
    answer = Answer(Call("GET", "/cgi-bin/x", app()), b"", {"session_key": value}, 0)

    with pytest.raises(WecomProtocol, match="no usable session_key"):
        answer.secret("session_key")


@pytest.mark.parametrize("value", ["1df09d0a1677dd72b8325aec59576e0c==", "x", "x" * 4096])
def test_a_secret_of_visible_characters_is_taken(value: str) -> None:
    answer = Answer(Call("GET", "/cgi-bin/x", app()), b"", {"session_key": value}, 0)

    assert value == answer.secret("session_key").reveal()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("../../x", "x"),
        ("..\\..\\x", "x"),
        ("C:\\x", "x"),
        ("C:x", "x"),
        ("\\\\host\\share\\x", "x"),
        ("a\x00b", "ab"),
        ("a\r\nSet-Cookie: b", "aSet-Cookie: b"),
        ("\x1b[31mred", "[31mred"),
        ("txt.\u202eexe", "txt.exe"),
        ("a\u2028b\x85c", "abc"),
        ("..\x00", ""),
        ("\x00", ""),
        ("x" * 4000, "x" * LONGEST_NAME),
        ("报告.pdf", "报告.pdf"),
    ],
)
def test_a_name_is_a_name_alone(path: str, name: str) -> None:
    assert name == base_name(path)
