"""XML as WeCom writes it: small, without a DTD, and not always well-formed."""

import re
import sys
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from broker.domain.errors import EnvelopeRejected
from broker.domain.events.event import EnvelopeProblem
from broker.protocol.callbacks.characters import ILLEGAL, REPLACEMENT, joined

MARKUP = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<!|</?[^\W\d][^<>&]*+>"
    r"|(?P<numbers>(?:&#(?:[0-9]++|x[0-9A-Fa-f]++);)++)|&(?:amp|lt|gt|quot|apos);"
    r"|(?<=>)\s*+!\[CDATA\[[^<>\]]*+\]\]>|(?P<stray>[<&]|\]\]>)",
    re.DOTALL,
)
"""Sections, tags and references, each in one piece; "<", "&" and "]]>" outside them are stray."""
ESCAPED = {"<": "&lt;", "&": "&amp;", "]]>": "]]&gt;"}
NUMBER = re.compile(r"&#(?:([0-9]+)|x([0-9A-Fa-f]+));")
LONGEST_NUMBER = 7
BROKEN_CDATA = re.compile(
    r"(?P<open>(?<=>)\s*+<!\[CDATA\[[^<>\]]*+\]\])(?=</[A-Za-z])|(?P<sound><!\[CDATA\[.*?(?:\]\]>|\Z))"
    r"|(?<=>)(?P<blanks>\s*+)!(?P<broken>\[CDATA\[[^<>\]]*+\]\]>)",
    re.DOTALL,
)
"""Published samples have `![CDATA[` without its `<`, and `]]` without its `>` (wecom-api C4, G18, G35)."""
DEEPEST = 10
"""What WeCom documents nests five deep (an approval's approvers)."""
MOST_ELEMENTS = 4000
LONGEST_NAME = 64


class Bounds:
    """How deep and how large a message may be, counted while it is read."""

    def __init__(self) -> None:
        self._elements = 0

    def count(self, name: str, depth: int) -> None:
        """Count an element; the root has depth 0. Raises `EnvelopeRejected`."""
        self._elements += 1
        if depth > DEEPEST or self._elements > MOST_ELEMENTS or len(name) > LONGEST_NAME:
            raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body is too deep, or has too many parts")


def legal_xml(text: str) -> str:
    """Return the text with legal references (U+FFFD for illegal ones) and stray markup escaped."""
    return MARKUP.sub(_legal, text)


def parse_xml(text: str) -> Element:
    """Parse a document without a DTD, within `Bounds`; attributes are ignored. Raises `EnvelopeRejected`."""
    root = _parsed(text)
    if root is None and (mended := BROKEN_CDATA.sub(_mended, text)) != text:
        # What follows a section that did not end was taken for its content, and may have stray markup.
        root = _parsed(legal_xml(mended))
    if root is None:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body is not XML")
    return root


class _BoundedBuilder(TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._bounds = Bounds()
        self._depth = -1

    def start(self, tag: str, _attributes: dict[str, str], /) -> Element:
        self._depth += 1
        self._bounds.count(tag, self._depth)
        return super().start(tag, {})

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def _parsed(text: str) -> Element | None:
    builder = _BoundedBuilder()
    # Without namespaces: with them, expat writes the URI of each into every name that has its prefix.
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_dtd
    parser.StartElementHandler = builder.start
    parser.CharacterDataHandler = builder.data
    parser.EndElementHandler = builder.end
    try:
        parser.Parse(text, True)
    except expat.ExpatError:
        return None
    return builder.close()


def _refuse_dtd(*_: object) -> NoReturn:
    raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body has a DTD")


def _legal(markup: re.Match[str]) -> str:
    if markup["stray"]:
        return ESCAPED[markup["stray"]]
    if not markup["numbers"]:
        return markup[0]
    written = "".join(map(_character, NUMBER.finditer(markup["numbers"])))
    legal = ILLEGAL.sub(REPLACEMENT, joined(written))
    return markup[0] if legal == written else "".join(f"&#{ord(character)};" for character in legal)


def _character(number: re.Match[str]) -> str:
    decimal, hexadecimal = number.groups()
    digits = (decimal or hexadecimal).lstrip("0") or "0"
    code = int(digits, 10 if decimal else 16) if len(digits) <= LONGEST_NUMBER else 0
    return chr(code) if code <= sys.maxunicode else "\0"


def _mended(found: re.Match[str]) -> str:
    if found["open"]:
        return f"{found['open']}>"
    return found["sound"] or f"{found['blanks']}<!{found['broken']}"
