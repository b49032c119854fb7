"""Cut a token out of WeCom's answers, in whatever form WeCom echoes it."""

import json
import re
from functools import lru_cache


def cut_out(value: str, text: bytes) -> bytes:
    """Cut a value out of JSON or a URL: each character may be plain, escaped or percent-encoded."""
    return _pattern(value).sub(b"***", text.replace(value.encode(errors="replace"), b"***"))


@lru_cache(maxsize=4)
def _pattern(value: str) -> re.Pattern[bytes]:
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
