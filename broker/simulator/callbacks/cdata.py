"""XML as WeCom writes it: text in CDATA, numbers plain, and malformed samples."""

import re
from xml.sax.saxutils import escape

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML does not allow, escaped or not."""


class Raw(str):
    """Hold text that is written unchanged."""

    __slots__ = ()


def element(name: str, value: str | int) -> str:
    """Write one element."""
    return f"<{name}>{value if isinstance(value, Raw | int) else cdata(value)}</{name}>"


def document(**fields: str | int) -> str:
    """Write a document with these elements, in this order."""
    return f"<xml>{''.join(element(name, value) for name, value in fields.items())}</xml>"


def cdata(text: str) -> str:
    """Write text so that none of it is taken for markup."""
    return f"<![CDATA[{_legal(text).replace(']]>', ']]]]><![CDATA[>')}]]>"


def cdata_after_blank(text: str) -> Raw:
    """Write CDATA as the sample of suite_ticket has it (doc 90628)."""
    return Raw(f" {cdata(text)}")


def cdata_without_beginning(text: str) -> Raw:
    """Write CDATA as the sample of the suites' share events has it: `<` is missing (doc 93373)."""
    return Raw(cdata(text).removeprefix("<"))


def cdata_without_ends(text: str) -> Raw:
    """Write CDATA as samples of change_chain and share events have it: `<` and the last `>` are missing.

    See doc 95796, doc 93373.
    """
    return Raw(f"![CDATA[{escape(_legal(text))}]]")


def _legal(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
