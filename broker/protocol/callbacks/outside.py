"""The outside of an envelope: its sender is not verified yet, so parsing it is cheap and strict."""

import re
from dataclasses import dataclass

from broker.domain.errors import EnvelopeRejected
from broker.domain.events.event import EnvelopeProblem
from broker.protocol.callbacks.json import is_json, parse_json

MARKS = (b"<", b"[", b"{", b",", b"=", b"&")
MOST_MARKS = 200
"""An envelope has about ten parts, and base64 has none of these marks but at most two "="."""
HEAD = re.compile(r"\s*+(?:<\?xml\s[^<>?]*+\?>\s*+)?<xml>")
PART = re.compile(
    r"\s*+<(?P<name>[A-Za-z]{1,64})(?:\s*+/>|>\s*+"
    r"(?:<?!\[CDATA\[(?P<cdata>[^<>&\]\x00-\x08\x0b\x0c\x0e-\x1f]*+)\]\]>\s*+"
    r"|(?P<text>[^<>&\x00-\x08\x0b\x0c\x0e-\x1f]*+))</(?P=name)>)"
)
"""An element of text; published samples have `![CDATA[` without its `<` (wecom-api C4, G18)."""
TAIL = re.compile(r"\s*+</xml>\s*+")


@dataclass(frozen=True, slots=True)
class Envelope:
    """What WeCom posts; parts other than the sealed one are not signed, so they are not read."""

    encrypted: str


def read_envelope(body: bytes) -> Envelope:
    """Return the envelope in XML or JSON. Raises `EnvelopeRejected`."""
    if sum(map(body.count, MARKS)) > MOST_MARKS:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body has more parts than an envelope")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body is not UTF-8") from None
    encrypted = _sealed_in_json(text) if is_json(text) else _sealed_in_xml(text)
    if not encrypted:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body has no Encrypt")
    return Envelope(encrypted)


def _sealed_in_json(text: str) -> str:
    parts = (part.text or "" for part in parse_json(text) if part.tag.lower() == "encrypt")
    return next(parts, "").strip()


def _sealed_in_xml(text: str) -> str:
    """Return the text of the first Encrypt: a scan of flat elements, without a tree or namespaces."""
    head, found = HEAD.match(text), [""]
    end = head.end() if head else 0
    while part := PART.match(text, end):
        if part["name"].lower() == "encrypt":
            found.append(part["cdata"] or part["text"] or "")
        end = part.end()
    if not head or not TAIL.fullmatch(text, end):
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body is not an envelope of XML")
    return found[:2][-1].strip()
