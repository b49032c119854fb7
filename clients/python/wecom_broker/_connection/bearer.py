"""The bearer token that every call of a channel sends."""

from __future__ import annotations

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
