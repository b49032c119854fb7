"""The keys of `[wecom]` that say how calls reach WeCom."""

import re
import ssl
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field

from broker.config.field_types import ReadablePath
from broker.config.secrets.fields import AnySecret
from broker.domain.secret import Secret

HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9a-f:.]*:[0-9a-f:.]*")
FORM = "must be http://host:port or http://user:password@host:port"
ENCODE = "; percent-encode the password: # is %23, / is %2F, ? is %3F, @ is %40"


def _proxy(url: Secret) -> Secret:
    value = url.reveal()
    parts = _parts(value)
    if (
        parts is None
        or not HOST.fullmatch(parts.hostname or "")
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise ValueError(f"{FORM}{ENCODE if '@' in value else ''}")
    if parts.scheme != "http":
        raise ValueError(f"{FORM}; calls to an https address stay encrypted, the proxy only sees its name")
    if not parts.port:
        raise ValueError(f"{FORM}; the port is missing")
    return url


def _parts(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        # Reading the port checks it.
        _ = parts.port
    except ValueError:
        return None
    return parts


def _authorities(path: str) -> str:
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise ValueError(f"{path} has no certificate in PEM form") from None
    return path


def _hosts(addresses: dict[str, list[str]]) -> dict[str, list[str]]:
    for name in addresses:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,253}", name):
            raise ValueError(f"{name!r} is not the name of a host: no scheme, no port")
    return {name.lower(): found for name, found in addresses.items()}


def _ip_address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("must be an IP address, without a port") from None


ProxyUrl = Annotated[AnySecret, AfterValidator(_proxy)]
Authorities = Annotated[ReadablePath, AfterValidator(_authorities)]
IpAddress = Annotated[str, AfterValidator(_ip_address)]
Resolve = Annotated[dict[str, Annotated[list[IpAddress], Field(min_length=1)]], AfterValidator(_hosts)]
