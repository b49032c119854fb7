"""XML as WeCom writes it: small, without a DTD, and not always well-formed."""

import re
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from broker.domain.errors import EnvelopeRejected
from broker.domain.events import EnvelopeProblem

BROKEN_CDATA = re.compile(r"(?<=>)(\s*)!\[CDATA\[")
"""Published samples have `![CDATA[` without its `<` (wecom-api C4, G18)."""


def parse_xml(body: bytes) -> Element:
    """Parse a document without a DTD. Raises `EnvelopeRejected`."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body is not UTF-8") from None
    root = _parsed(text)
    if root is None:
        root = _parsed(BROKEN_CDATA.sub(r"\1<![CDATA[", text))
    if root is None:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body is not XML")
    return root


def _parsed(text: str) -> Element | None:
    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except DefusedXmlException:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body has a DTD") from None
    except (ParseError, ValueError):
        return None
    return root
