"""URLs of web pages, as callers give them: checked, never changed."""

import unicodedata
from urllib.parse import urlsplit

from broker.domain.errors import InvalidRequest

LONGEST = 8192
"""Our own limit: WeCom documents none, and single sign-on puts tokens into queries."""
_SCHEMES = frozenset({"http", "https"})
# Browsers percent-encode these characters: a URL with a raw one is not the URL that the browser has.
_FORBIDDEN = frozenset({"Cc", "Cs", "Zs", "Zl", "Zp"})


def check_web_url(field: str, url: str) -> None:
    """Accept an absolute http or https URL with a host. Raises `InvalidRequest` for that field."""
    if not url:
        raise InvalidRequest(field, "is empty")
    if len(url) > LONGEST:
        raise InvalidRequest(field, f"is longer than {LONGEST} characters")
    if any(unicodedata.category(character) in _FORBIDDEN for character in url):
        raise InvalidRequest(field, "has a blank or a control character in it")
    if not _is_web_address(url):
        raise InvalidRequest(field, "should be http:// or https:// and a host")


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
