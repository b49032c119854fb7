"""The bearer token that every call of a channel sends, and where it may be sent without TLS."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpc.aio import ClientCallDetails


class _Bearer:
    def __init__(self, token: str | Callable[[], str]) -> None:
        self._token = token

    def _signed(self, details: ClientCallDetails) -> ClientCallDetails:
        token = self._token if isinstance(self._token, str) else self._token()
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.set_all("authorization", [f"Bearer {token}"])
        return grpc.aio.ClientCallDetails(
            method=details.method,
            timeout=details.timeout,
            metadata=metadata,
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
        )


# grpc.aio assigns an interceptor to one kind of call by its class, so each kind needs its own.
class _UnaryBearer(_Bearer, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        return await continuation(self._signed(client_call_details), request)


class _UploadBearer(_Bearer, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: Any,  # noqa: ANN401
        client_call_details: Any,  # noqa: ANN401
        request_iterator: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return await continuation(self._signed(client_call_details), request_iterator)


class _StreamBearer(_Bearer, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        return await continuation(self._signed(client_call_details), request)


def bearer(token: str | Callable[[], str]) -> list[grpc.aio.ClientInterceptor]:
    """Return interceptors that send the token; a callable is called each time, so the token can rotate."""
    return [_UnaryBearer(token), _UploadBearer(token), _StreamBearer(token)]


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
