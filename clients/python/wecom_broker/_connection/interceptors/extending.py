"""Interceptors that extend what each call of a channel sends, such as its metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpc.aio import ClientCallDetails

    Extend = Callable[[ClientCallDetails], ClientCallDetails]


def with_metadata(details: ClientCallDetails, metadata: grpc.aio.Metadata) -> ClientCallDetails:
    """Return the details of the same call with this metadata."""
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout,
        metadata=metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


class _Extending:
    def __init__(self, extend: Extend) -> None:
        self._extend = extend


# grpc.aio assigns an interceptor to one kind of call by its class, so each kind needs its own.
class _Unary(_Extending, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        return await continuation(self._extend(client_call_details), request)


class _Upload(_Extending, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: Any,  # noqa: ANN401
        client_call_details: Any,  # noqa: ANN401
        request_iterator: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return await continuation(self._extend(client_call_details), request_iterator)


class _Stream(_Extending, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        return await continuation(self._extend(client_call_details), request)


def extending(extend: Extend, *, stream: Extend | None = None) -> list[grpc.aio.ClientInterceptor]:
    """Return interceptors for calls of all kinds; `stream` extends those that are answered by a stream."""
    return [_Unary(extend), _Upload(extend), _Stream(stream or extend)]
