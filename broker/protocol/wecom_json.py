"""WeCom's JSON, parsed leniently: people write the names in it, and one odd name must not spoil the rest.

Names may contain raw control characters, stray backslashes, GBK bytes or lone surrogates. What cannot stay is
replaced by U+FFFD: harmless in a name, but an identifier must be whole (`is_whole`), or two could become the
same.
"""

import json
import re
from collections.abc import Iterator, Mapping

from broker.protocol.legal_json import legal_json

REPLACED = "\N{REPLACEMENT CHARACTER}"
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_AROUND = "\x00\ufeff \t\r\n"


def read_object(body: bytes) -> dict[str, object] | None:
    """Return the JSON object in the bytes; None if there is none."""
    for text in _readings(body):
        try:
            found = json.loads(text, strict=False)
            found = _mended(found) if b"\\u" in body else found
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    return None


def is_whole(text: str) -> bool:
    """Return whether nothing in the text was replaced."""
    return REPLACED not in text


def as_text(value: object) -> str:
    """Return a text; "" for anything else."""
    return value if isinstance(value, str) else ""


def as_number(value: object, otherwise: int) -> int:
    """Return a whole number, which may come as text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def as_list(value: object) -> list[object]:
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_object(value: object) -> Mapping[str, object]:
    """Return an object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _readings(body: bytes) -> Iterator[str]:
    """Yield what the bytes may say, the likeliest first; what is not legal JSON is made legal last.

    The last byte of a GBK character can read as a backslash: there GBK comes before a stray one is escaped.
    """
    text = body.decode(errors="replace").strip(_AROUND)
    yield text
    readings = [text]
    if not _is_utf8(body):
        readings.append(body.decode("gb18030", errors="replace").strip(_AROUND))
        yield readings[1]
    yield from (legal_json(reading) for reading in readings if reading.startswith("{"))


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _mended(value: object) -> object:
    """Return the value without lone surrogates, which gRPC messages cannot carry."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(entry) for entry in value]
    if isinstance(value, dict):
        return {str(_mended(name)): _mended(entry) for name, entry in value.items()}
    return value
