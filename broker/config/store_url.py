"""The address of the store, a secret since it may hold a password; checked before anything connects to it."""

import re
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator

from broker.config.secrets.fields import AnySecret
from broker.domain.secret import Secret

ENCODE = "; percent-encode the password: # is %23, / is %2F, ? is %3F, [ is %5B"

TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""Paths of PEM files: a private certificate authority, and a certificate for this broker."""


def place_of(url: Secret) -> str:
    """Return the address without user and password, for logs and errors."""
    scheme, _, rest = url.reveal().partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _check(url: Secret) -> Secret:
    value = url.reveal()
    try:
        if value.startswith("sqlite:"):
            _check_sqlite(value)
        else:
            _check_redis(value)
    except ValueError as problem:
        raise ValueError(f"{problem}{ENCODE if '@' in value else ''}") from None
    return url


def _check_sqlite(value: str) -> None:
    if not re.match(r"sqlite:///.", value):
        raise ValueError("must be sqlite:///path")


def _check_redis(value: str) -> None:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    scheme = parts.scheme
    if scheme in ("redis+sentinel", "redis+cluster"):
        raise ValueError(f"{scheme} is not supported yet; redis, rediss and sqlite are")
    if scheme not in ("redis", "rediss"):
        raise ValueError("must begin with sqlite:///, redis:// or rediss://")
    if not parts.hostname:
        raise ValueError(f"must be {scheme}://host:port")
    if parts.fragment or (parts.query and scheme == "redis"):
        raise ValueError(f"must be {scheme}://host:port/database, without '?' or '#'")
    if not parse_qs(parts.query, keep_blank_values=True).keys() <= TLS_OPTIONS:
        raise ValueError(
            f"must be {scheme}://host:port/database, and after '?' {', '.join(sorted(TLS_OPTIONS))}"
        )
    if not re.fullmatch(r"/?|/[0-9]{1,5}", parts.path):
        raise ValueError(f"must be {scheme}://host:port/database, and the database a number")


StoreUrl = Annotated[AnySecret, AfterValidator(_check)]
