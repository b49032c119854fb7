"""A request of a browser, as gRPC would show a call: so identity, rights, limits and audit are the same.

A browser sends the token of a caller as the password of HTTP Basic (docs/decisions/0013).
"""

import base64
import binascii
import ssl
from collections.abc import Mapping, Sequence
from typing import NoReturn

from aiohttp import web
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import Status as GrpcStatus
from grpc import StatusCode

DETAILS = "grpc-status-details-bin"


class Refused(Exception):
    """The call ended with a status that is not OK."""

    def __init__(self, code: StatusCode, message: str, reason: str, retry_seconds: int | None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.retry_seconds = retry_seconds


class BrowserContext:
    """What the guard of rpcs asks of a call's context."""

    def __init__(self, request: web.Request) -> None:
        self._request = request

    def presents_something(self) -> bool:
        """Return whether there is anything that could prove a caller."""
        return "Authorization" in self._request.headers or bool(self.auth_context())

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """Return the client certificate, under gRPC's name for it."""
        transport = self._request.transport
        connection = transport.get_extra_info("ssl_object") if transport else None
        der = connection.getpeercert(binary_form=True) if connection else None
        return {"x509_pem_cert": [ssl.DER_cert_to_PEM_cert(der).encode()]} if der else {}

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        """Return the bearer token, and the id of the request if it has one."""
        headers = self._request.headers
        found = []
        if authorization := headers.get("Authorization"):
            found.append(("authorization", _as_bearer(authorization)))
        if request_id := headers.get("X-Request-Id"):
            found.append(("x-request-id", request_id))
        return found

    def peer(self) -> str:
        """Return the address in gRPC's words."""
        transport = self._request.transport
        name = transport.get_extra_info("peername") if transport else None
        if not isinstance(name, tuple):
            return "unix:"
        host, port = name[:2]
        return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"

    async def abort_with_status(self, status: GrpcStatus) -> NoReturn:
        """Raise `Refused`."""
        reason, retry_seconds = "", None
        for name, value in status.trailing_metadata or ():
            for packed in Status.FromString(value).details if name == DETAILS else ():
                info, wait = ErrorInfo(), RetryInfo()
                if packed.Unpack(info):
                    reason = info.reason
                elif packed.Unpack(wait):
                    retry_seconds = max(1, round(wait.retry_delay.ToTimedelta().total_seconds()))
        raise Refused(status.code, status.details, reason, retry_seconds)


def _as_bearer(authorization: str) -> str:
    """Return the header as a caller of gRPC would send it; the user name of Basic means nothing."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return authorization
    try:
        _, _, token = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return authorization
    return f"Bearer {token}"
