"""Cut a token out of WeCom's answers, in whatever form WeCom echoes it."""

import base64
import json
import re
from functools import lru_cache

CUT = b"***"
LAYERS = 4
"""How often a value may have been escaped, one way over the other."""
ESCAPED = re.compile(
    rb"\\u00([0-7][0-9a-f])|%([2-7][0-9a-f])|&#x0{0,4}([0-7][0-9a-f]);|&#0{0,4}([0-9]{2,3});", re.IGNORECASE
)
"""A visible ASCII character in JSON, in a URL, and in HTML: a token has no others."""
ORDINARY = re.compile(r"[\w.~+/=-]+", re.ASCII)
"""What tokens are made of: such a value has no escapes of its own, so undoing those of a text shows it."""
LONG = 16
"""Bytes from which on a part of base64 is no chance."""


def cut_out(value: str, text: bytes) -> bytes:
    """Cut a value out of JSON or a URL: each character may be plain, escaped or percent-encoded.

    Where it is hidden in another way, each text of the JSON that hides it is cut out whole.
    """
    cut = text.replace(value.encode(errors="replace"), CUT)
    if ORDINARY.fullmatch(value) and not _hides(value, cut):
        return cut
    cut = _pattern(value).sub(CUT, cut)
    return _without(value, cut) if _hides(value, cut) else cut


def _hides(value: str, text: bytes) -> bool:
    """Return whether the value comes out of the text as its escapes are undone, or is in base64 there."""
    forms = _in_base64(value)
    for _ in range(LAYERS):
        if any(form in text for form in forms):
            return True
        plain = text.replace(b"\\/", b"/").replace(b'\\"', b'"').replace(b"\\\\", b"\\")
        plain = ESCAPED.sub(_character, plain)
        if plain == text:
            return False
        if value.encode(errors="replace") in plain:
            return True
        text = plain
    return False


def _without(value: str, text: bytes) -> bytes:
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return CUT
    return json.dumps(_cut_through(value, found), ensure_ascii=False).encode(errors="replace")


def _cut_through(value: str, found: object) -> object:
    match found:
        case str():
            return (
                CUT.decode()
                if _hides(value, json.dumps(found, ensure_ascii=False).encode(errors="replace"))
                else found
            )
        case list():
            return [_cut_through(value, part) for part in found]
        case dict():
            return {str(_cut_through(value, name)): _cut_through(value, part) for name, part in found.items()}
        case _:
            return found


def _character(escape: re.Match[bytes]) -> bytes:
    in_json, in_url, in_hex, in_decimal = escape.groups()
    code = int(in_decimal) if in_decimal else int(in_json or in_url or in_hex, 16)
    return bytes([code]) if code < 128 else escape[0]  # noqa: PLR2004 - ASCII


@lru_cache(maxsize=4)
def _in_base64(value: str) -> tuple[bytes, ...]:
    """Return what base64 has of the value, whatever stands before and behind it, in both alphabets."""
    found = []
    for ahead in range(3):
        plain = bytes(ahead) + value.encode(errors="replace")
        certain = slice(-(-8 * ahead // 6), 8 * len(plain) // 6)
        found += [base64.b64encode(plain)[certain], base64.urlsafe_b64encode(plain)[certain]]
    return tuple({form for form in found if len(form) >= LONG})


@lru_cache(maxsize=4)
def _pattern(value: str) -> re.Pattern[bytes]:
    # It takes 35 ms to compile one, so only for a text that hides the value.
    # Atomic, so that no text makes it slow; not the first, which shows the engine where a match may begin.
    groups = (b"(?:" if at == 0 else b"(?>" for at in range(len(value)))
    return re.compile(
        b"".join(group + _forms(each) + b")" for group, each in zip(groups, value, strict=True))
    )


def _forms(character: str) -> bytes:
    """Return the alternatives that may stand for the character, the longest first."""
    plain = character.encode(errors="replace")
    percent = b"".join(b"%%%02x" % byte for byte in plain)
    units = character.encode("utf-16-be", errors="replace")
    unicode = b"".join(b"\\u" + units[at : at + 2].hex().encode() for at in range(0, len(units), 2))
    in_json = json.dumps(character)[1:-1].encode()
    any_case = b"|".join(re.escape(form) for form in (unicode, percent))
    exact = b"|".join(
        re.escape(form) for form in (in_json, b"\\" + plain if character == "/" else plain, plain)
    )
    return b"(?>(?i:" + any_case + b")|" + exact + b")"
