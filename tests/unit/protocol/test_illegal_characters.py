"""What people write, and what systems make of it, costs a character and never the message."""

import json
from xml.etree.ElementTree import fromstring

import pytest

from broker.protocol.callbacks.characters import legal_text
from broker.protocol.callbacks.message import Message, read_message

HEAD = (
    b"<xml><ToUserName><![CDATA[ww0parent]]></ToUserName><FromUserName>u</FromUserName>"
    b"<CreateTime>1403610513</CreateTime><MsgType><![CDATA[text]]></MsgType><Content>"
)
TAIL = b"</Content><MsgId>1</MsgId></xml>"
IN_CDATA = {
    "a data link escape": ("收到\x10了".encode(), "收到\ufffd了"),
    "a group separator": (b" \x1dc", "\ufffdc"),
    "an escape sequence": (b"\x1b[0;32mok", "\ufffd[0;32mok"),
    "a backspace": (b"a\x08b", "a\ufffdb"),
    "a NUL": (b"a\0b", "a\ufffdb"),
    "U+FFFE": ("a\ufffeb".encode(), "a\ufffdb"),
    "U+FFFF": ("a\uffffb".encode(), "a\ufffdb"),
    "text cut within a character": ("企业".encode()[:-1], "企\ufffd"),
    "an emoji cut short": ("a😀".encode()[:-2], "a\ufffd"),
    "a byte of no character": (b"a\xffb", "a\ufffdb"),
    "GBK": ("企".encode("gbk"), "\ufffd\ufffd"),
    "an emoji in CESU-8": (b"a\xed\xa0\xbd\xed\xb8\x80b", "a😀b"),
    "two emojis in CESU-8": (b"\xed\xa0\xbd\xed\xb8\x80" * 2, "😀😀"),
    "a high half": (b"a\xed\xa0\xbdb", "a\ufffdb"),
    "a low half": (b"a\xed\xb8\x80b", "a\ufffdb"),
    "halves the wrong way round": (b"a\xed\xb8\x80\xed\xa0\xbdb", "a\ufffd\ufffdb"),
    "an emoji": ("😀".encode(), "😀"),
    "a ZWJ sequence": ("👩‍👩‍👧".encode(), "👩‍👩‍👧"),
    "a reference that is none": (b"&#x8;&#xD83D;&nobody;&", "&#x8;&#xD83D;&nobody;&"),
    "tags": (b"<b>1 < 2</b>", "<b>1 < 2</b>"),
    "a comment that is none": (b"<!-- <?", "<!-- <?"),
    "a split end": (b"a]]]]><![CDATA[>b", "a]]>b"),
    "a DTD that is none": (b"<!DOCTYPE xml>", "<!DOCTYPE xml>"),
}
IN_TEXT = {
    "a backspace by number": (b"a&#x8;b", "a\ufffdb"),
    "a NUL by number": (b"a&#0;b", "a\ufffdb"),
    "a vertical tab by number": (b"a&#11;b", "a\ufffdb"),
    "U+FFFF by number": (b"a&#xFFFF;b", "a\ufffdb"),
    "an emoji by its halves": (b"a&#xD83D;&#xDE00;b", "a😀b"),
    "an emoji by its halves in decimal": (b"a&#55357;&#56832;b", "a😀b"),
    "a half by number": (b"a&#xd83d;b", "a\ufffdb"),
    "an emoji by number": (b"&#x1F600;&#128512;", "😀😀"),
    "marks by number": (b"&#60;&#x26;&#8;&#62;", "<&\ufffd>"),
    "a number beyond Unicode": (b"a&#x110000;b", "a\ufffdb"),
    "a number without end": (b"a&#" + b"9" * 5000 + b";b", "a\ufffdb"),
    "a number with zeros": (b"&#x" + b"0" * 50 + b"41;", "A"),
    "named references": (b"&lt;&gt;&amp;&quot;&apos;", "<>&\"'"),
    "an unknown name": (b"a&nbsp;b", "a&nbsp;b"),
    "an ampersand": (b"a & b && c", "a & b && c"),
    "a cut reference": (b"a&#x1F", "a&#x1F"),
    "a less-than": (b"1 < 2 <3 <", "1 < 2 <3 <"),
    "an arrow": (b"a <- b <= c", "a <- b <= c"),
    "an end of no section": (b"a]]>b", "a]]>b"),
    "halves outside a section": (b"\xed\xa0\xbd\xed\xb8\x80", "😀"),
}
CONTENTS = {name: (b"<![CDATA[%s]]>" % raw, text) for name, (raw, text) in IN_CDATA.items()} | IN_TEXT


AROUND = [
    *(b"\n", b" \r\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"\0", b"\n\xef\xbb\xbf", b"\0\n", b"\x0b"),
    *(mark.encode() for mark in "\x85\xa0\u200b\u2028\u2060\u3000"),
]
DECLARATIONS = [b"", *(b'<?xml version="1.0" encoding="%s"?>\n' % name for name in (b"UTF-8", b"gbk"))]


def check_the_rest(message: Message) -> None:
    assert ("text", "ww0parent", "u", "1") == (
        message.event_type,
        message.corp_id,
        message.from_user_name,
        message.word("MsgId"),
    )


@pytest.mark.parametrize(("content", "expected"), CONTENTS.values(), ids=CONTENTS)
def test_a_text_costs_no_more_than_its_illegal_characters(content: bytes, expected: str) -> None:
    message = read_message(HEAD + content + TAIL)

    check_the_rest(message)
    assert expected == message.fields["Content"]


@pytest.mark.parametrize("content", [raw for raw, _ in CONTENTS.values()])
def test_what_is_handed_on_is_legal(content: bytes) -> None:
    message = read_message(HEAD + content + TAIL)
    [handed_on] = (part for part in fromstring(message.text.encode()) if part.tag == "Content")

    assert message.fields["Content"] == (handed_on.text or "").strip()


def test_what_is_legal_is_handed_on_as_it_came() -> None:
    content = "<![CDATA[&#8; <b> & 😀]]>&#x1F600; &amp; &#128512;\t<!-- & < -->\x7f\x85".encode()

    assert (HEAD + content + TAIL).decode() == read_message(HEAD + content + TAIL).text


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_blanks_and_marks_around_a_document_are_left_out(around: bytes, declaration: bytes) -> None:
    document = declaration + HEAD + "企".encode() + TAIL
    for written in (around + document, document + around):
        message = read_message(written)

        check_the_rest(message)
        assert ("企", document.decode()) == (message.fields["Content"], message.text.rstrip(" \t\r\n"))


@pytest.mark.parametrize("around", AROUND)
def test_blanks_and_marks_around_json_are_left_out(around: bytes) -> None:
    document = b'{"msgid":"1"}'

    assert document.decode() == read_message(around + document).text
    assert document.decode() == read_message(document + around).text.rstrip(" \t\r\n")


JSON = {
    "a control character": (b"a\x10b", "a\ufffdb"),
    "a byte of no character": (b"a\xffb", "a\ufffdb"),
    "text cut within a character": ("企业".encode()[:-1], "企\ufffd"),
    "an emoji in CESU-8": (b"a\xed\xa0\xbd\xed\xb8\x80b", "a😀b"),
    "an emoji by its halves": (rb"a\ud83d\ude00b", "a😀b"),
    "a half": (rb"a\ud83db", "a\ufffdb"),
    "a NUL": (rb"a\u0000b", "a\ufffdb"),
    "a line break": (b"a\r\nb\tc", "a\r\nb\tc"),
    "a backslash": (rb"C:\dir\x \u12 \ ", "C:\\dir\\x \\u12 \\"),
    "escapes": (rb"\"\\\/\n\\", '"\\/\n\\'),
}


@pytest.mark.parametrize(("content", "expected"), JSON.values(), ids=JSON)
def test_json_costs_no_more_than_its_illegal_characters(content: bytes, expected: str) -> None:
    message = read_message(b'\xef\xbb\xbf\n {"msgtype":"text","text":{"content":"%s"},"msgid":"1"}' % content)

    assert ("text", "1", expected) == (
        message.event_type,
        message.word("MsgId"),
        message.fields["text.content"],
    )
    assert "1" == json.loads(message.text)["msgid"]


def test_blanks_between_the_words_of_json_stay() -> None:
    written = b'{\r\n\t"a" : "b\\"\\\\" ,\n "c":"" }'

    assert written.decode() == read_message(written).text


def test_text_without_fault_is_not_touched() -> None:
    text = "".join(map(chr, range(0x20, 0xD800, 7))) + "\t\n\r\ue000\ufffd😀\U0010ffff"

    assert text[1:] == legal_text(text.encode())
