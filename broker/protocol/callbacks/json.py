"""JSON, which some of WeCom's products send in place of XML, parsed into the equivalent XML."""

import json
from xml.etree.ElementTree import Element, SubElement

from broker.domain.errors import EnvelopeRejected
from broker.domain.events.event import EnvelopeProblem
from broker.protocol.callbacks.xml import Bounds


def is_json(text: str) -> bool:
    """Return whether a body is meant to be JSON: an object."""
    return text.lstrip()[:1] == "{"


def parse_json(text: str) -> Element:
    """Parse an object, within `Bounds`. Raises `EnvelopeRejected`.

    A list is an element repeated. Numbers stay as they are written, so none is too large or rounded.
    """
    try:
        members = json.loads(
            text, object_pairs_hook=tuple, parse_int=str, parse_float=str, parse_constant=str
        )
    except (ValueError, RecursionError):
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body is not JSON") from None
    return _element(members)


def _element(members: tuple[tuple[str, object], ...]) -> Element:
    root, bounds = Element("xml"), Bounds()
    ahead = [(root, name, value, 1) for name, value in reversed(members)]
    while ahead:
        parent, name, value, depth = ahead.pop()
        bounds.count(name, depth)
        if isinstance(value, list):
            ahead += [(parent, name, part, depth + 1) for part in reversed(value)]
            continue
        element = SubElement(parent, name)
        if isinstance(value, tuple):
            ahead += [(element, inner, part, depth + 1) for inner, part in reversed(value)]
        else:
            element.text = _written(value)
    return root


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else ""
