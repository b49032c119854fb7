"""The signature that a page shows to WeCom's JS-SDK (wecom-api A4, A5; doc 90506)."""

import hashlib

from broker.domain.secret import Secret
from broker.protocol.web_url import check_web_url


def sign_url(ticket: Secret, nonce: str, timestamp: int, url: str) -> str:
    """Return lower-hex SHA-1 over raw values in WeCom's order; the URL is one that `page_url` gave."""
    return Signer(ticket).sign(nonce.encode(), after_nonce(timestamp, url))


def after_nonce(timestamp: int, url: str) -> bytes:
    """Return what is signed after the nonce."""
    return f"&timestamp={timestamp}&url={url}".encode()


class Signer:
    """Sign with one ticket again and again: what stands before the nonce is digested once."""

    def __init__(self, ticket: Secret) -> None:
        # WeCom prescribes SHA-1.
        before_nonce = f"jsapi_ticket={ticket.reveal()}&noncestr=".encode()
        self._begun = hashlib.sha1(before_nonce, usedforsecurity=False)

    def sign(self, nonce: bytes, after: bytes) -> str:
        """Return the signature; `after` is what `after_nonce` returns."""
        digest = self._begun.copy()
        digest.update(nonce + after)
        return digest.hexdigest()


def page_url(url: str) -> str:
    """Return the part of a page's URL that is signed: all before '#', unchanged. Raises `InvalidRequest`."""
    page = signed_part(url)
    check_web_url("url", page)
    return page


def signed_part(url: str) -> str:
    """Return all before '#'."""
    return url.partition("#")[0]
