"""Text that people wrote, made legal: no message may be lost because of one character."""

import re

REPLACEMENT = "\ufffd"
ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 does not allow (section 2.2): control characters, lone surrogates, U+FFFE, U+FFFF."""
SURROGATES = re.compile(rb"(?:\xed[\xa0-\xbf][\x80-\xbf])+")
"""Surrogates of three bytes each: some systems encode emoji this way (CESU-8)."""
AROUND = "\ufeff" + REPLACEMENT + " \t\r\n"


def legal_text(written: bytes) -> str:
    """Return the text in these bytes, with U+FFFD for what is not UTF-8 or not legal in XML.

    A byte order mark, and blanks before the text, are left out: none may precede an XML declaration.
    """
    text = SURROGATES.sub(_utf8, written).decode("utf-8", "replace")
    return ILLEGAL.sub(REPLACEMENT, text).lstrip(AROUND).rstrip(REPLACEMENT)


def joined(text: str) -> str:
    """Return the text with surrogate pairs joined into characters, and U+FFFD for lone ones."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _utf8(surrogates: re.Match[bytes]) -> bytes:
    return joined(surrogates[0].decode("utf-8", "surrogatepass")).encode()
