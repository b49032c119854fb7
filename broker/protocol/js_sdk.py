"""The signature that a page shows to WeCom's JS-SDK (wecom-api A4, A5; doc 90506)."""

import hashlib

from broker.domain.secret import Secret
from broker.protocol.web_url import check_web_url


def sign_url(ticket: Secret, nonce: str, timestamp: int, url: str) -> str:
    """Return lower-hex SHA-1 over raw values in WeCom's order; the URL is one that `page_url` gave."""
    text = f"jsapi_ticket={ticket.reveal()}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    # WeCom prescribes SHA-1.
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def page_url(url: str) -> str:
    """Return the part of a page's URL that is signed: all before '#', unchanged. Raises `InvalidRequest`."""
    page, _, _ = url.partition("#")
    check_web_url("url", page)
    return page
