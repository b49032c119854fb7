"""The address of the store, checked before anything connects to it."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from broker.config.secrets import resolve


def _store_address(given: object) -> object:
    """Resolve an address that holds a password and is given as a secret."""
    return resolve(given).reveal() if isinstance(given, Mapping) else given


def _store_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme == "sqlite":
        if parts.netloc or len(parts.path) < 2:  # noqa: PLR2004 - more than the slash
            raise ValueError("must be sqlite:///path")
    elif parts.scheme in ("redis", "rediss"):
        if not parts.hostname:
            raise ValueError(f"must be {parts.scheme}://host:port")
    elif parts.scheme in ("redis+sentinel", "redis+cluster"):
        raise ValueError(f"{parts.scheme} is not supported yet; redis, rediss and sqlite are")
    else:
        raise ValueError("must begin with sqlite:///, redis:// or rediss://")
    return value


StoreUrl = Annotated[str, BeforeValidator(_store_address), AfterValidator(_store_url)]
