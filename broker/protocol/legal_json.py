"""JSON that somebody wrote by hand, made legal: no answer or message may be lost because of one character."""

import re

STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""One without an end goes to the end of the text, or each quote in it would be tried as a beginning."""
ESCAPE = re.compile(r'(\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))|\\')
BLANKS = {ord("\t"): r"\t", ord("\n"): r"\n", ord("\r"): r"\r"}


def legal_json(text: str) -> str:
    """Return the text with legal strings: raw tabs, line breaks and stray backslashes in them are escaped."""
    return STRING.sub(_legal, text)


def _legal(string: re.Match[str]) -> str:
    return ESCAPE.sub(lambda escape: escape[1] or r"\\", string[0]).translate(BLANKS)
