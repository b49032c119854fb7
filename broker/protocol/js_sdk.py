"""The signature that a page shows to WeCom's JS-SDK (wecom-api A4, A5; doc 90506)."""

import hashlib

from broker.domain.secret import Secret
from broker.protocol.web_url import check_web_url


def sign_url(ticket: Secret, nonce: str, timestamp: int, url: str) -> str:
    """Return lower-hex SHA-1 over raw values in WeCom's order; the URL is one that `page_url` gave."""
    return sign(before_nonce(ticket), nonce, after_nonce(timestamp, url))


def before_nonce(ticket: Secret) -> bytes:
    """Return what is signed before the nonce."""
    return f"jsapi_ticket={ticket.reveal()}&noncestr=".encode()


def after_nonce(timestamp: int, url: str) -> bytes:
    """Return what is signed after the nonce."""
    return f"&timestamp={timestamp}&url={url}".encode()


def sign(before: bytes, nonce: str, after: bytes) -> str:
    """Return the signature of the three parts, for whoever keeps the first and the last."""
    # WeCom prescribes SHA-1.
    return hashlib.sha1(b"%b%b%b" % (before, nonce.encode(), after), usedforsecurity=False).hexdigest()


def page_url(url: str) -> str:
    """Return the part of a page's URL that is signed: all before '#', unchanged. Raises `InvalidRequest`."""
    page = signed_part(url)
    check_web_url("url", page)
    return page


def signed_part(url: str) -> str:
    """Return all before '#'."""
    return url.partition("#")[0]
