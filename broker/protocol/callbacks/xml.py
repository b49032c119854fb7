"""XML as WeCom writes it: small, without a DTD, and not always well-formed."""

import re
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from broker.domain.errors import EnvelopeRejected
from broker.domain.events import EnvelopeProblem

BROKEN_CDATA = re.compile(r"(?<=>)(\s*)!(\[CDATA\[[^<>\]]*\]\]>)")
"""Published samples have `![CDATA[` without its `<` (wecom-api C4, G18)."""
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


def parse_xml(body: bytes) -> Element:
    """Parse a document without a DTD, within `Bounds`. Raises `EnvelopeRejected`."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body is not UTF-8") from None
    root = _parsed(text)
    if root is None and (mended := BROKEN_CDATA.sub(r"\1<!\2", text)) != text:
        root = _parsed(mended)
    if root is None:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body is not XML")
    return root


class _BoundedBuilder(TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._bounds = Bounds()
        self._depth = -1

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        self._bounds.count(tag, self._depth)
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def _parsed(text: str) -> Element | None:
    parser = DefusedXMLParser(target=_BoundedBuilder(), forbid_dtd=True)
    try:
        parser.feed(text)
        root: Element = parser.close()
    except DefusedXmlException:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body has a DTD") from None
    except (ParseError, ValueError):
        return None
    return root
