"""Text that people wrote, made legal: no message may be lost because of one character."""

import re

REPLACEMENT = "\ufffd"
ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 does not allow (section 2.2): control characters, lone surrogates, U+FFFE, U+FFFF."""
SURROGATES = re.compile(rb"(?:\xed[\xa0-\xbf][\x80-\xbf])+")
"""Surrogates of three bytes each: some systems encode emoji this way (CESU-8)."""
AROUND = f"\ufeff{REPLACEMENT} \t\r\n\x85\xa0\u200b\u2028\u2029\u2060\u3000"
"""Marks and blanks that editors and gateways put around a text."""


def legal_text(written: bytes) -> str:
    """Return the text in these bytes, with U+FFFD for what is not UTF-8 or not legal in XML.

    What neither XML nor JSON may have around it is left out: byte order marks, NULs, odd blanks.
    """
    text = SURROGATES.sub(_utf8, written).decode("utf-8", "replace")
    text = ILLEGAL.sub(REPLACEMENT, text).lstrip(AROUND)
    document = text.rstrip(AROUND)
    return text if text[len(document) :].isascii() else document


def joined(text: str) -> str:
    """Return the text with surrogate pairs joined into characters, and U+FFFD for lone ones."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _utf8(surrogates: re.Match[bytes]) -> bytes:
    return joined(surrogates[0].decode("utf-8", "surrogatepass")).encode()
