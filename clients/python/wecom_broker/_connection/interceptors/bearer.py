"""The bearer token that every call of a channel sends, and where it may be sent without TLS."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import grpc.aio

from wecom_broker._connection.interceptors.extending import extending, with_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpc.aio import ClientCallDetails


def bearer(token: str | Callable[[], str]) -> list[grpc.aio.ClientInterceptor]:
    """Return interceptors that send the token; a callable is called each time, so the token can rotate."""

    def sign(details: ClientCallDetails) -> ClientCallDetails:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.set_all("authorization", [f"Bearer {token if isinstance(token, str) else token()}"])
        return with_metadata(details, metadata)

    return extending(sign)


def require_private(target: str, *, trust_env: bool) -> None:
    """Raise ValueError where a token could be read on its way to the target."""
    if target.startswith(("unix:", "unix-abstract:")):
        return
    if trust_env or not all(_is_loopback(address) for address in _addresses(target)):
        raise ValueError(
            f"the token would be sent to {target} without TLS: pass tls=Tls(…), or allow_plaintext_token=True"
        )


def _addresses(target: str) -> list[str]:
    """Return the host:port pairs of a target of gRPC."""
    for scheme in ("ipv4:", "ipv6:"):
        if target.startswith(scheme):
            return target.removeprefix(scheme).lstrip("/").split(",")
    # dns://AUTHORITY/host:port asks that name server, which may say anything.
    return [target.removeprefix("dns:///").removeprefix("dns:")]


def _is_loopback(address: str) -> bool:
    host = address if address.count(":") > 1 and "]" not in address else address.rpartition(":")[0] or address
    host = host.strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
