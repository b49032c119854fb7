"""The trace that a call belongs to, passed on to the broker as `traceparent` and `tracestate` (W3C)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpc.aio import ClientCallDetails

    Inject = Callable[[dict[str, str]], None]


class _Tracing:
    def __init__(self, inject: Inject) -> None:
        self._inject = inject

    def _traced(self, details: ClientCallDetails) -> ClientCallDetails:
        carried: dict[str, str] = {}
        self._inject(carried)
        if not carried:
            return details
        return grpc.aio.ClientCallDetails(
            method=details.method,
            timeout=details.timeout,
            metadata=grpc.aio.Metadata(*(details.metadata or ()), *carried.items()),
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
        )


# As in `bearer`: a class for each kind of call.
class _UnaryTracing(_Tracing, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        return await continuation(self._traced(client_call_details), request)


class _UploadTracing(_Tracing, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self,
        continuation: Any,  # noqa: ANN401
        client_call_details: Any,  # noqa: ANN401
        request_iterator: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return await continuation(self._traced(client_call_details), request_iterator)


class _StreamTracing(_Tracing, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:  # noqa: ANN401
        # A stream that is opened again, and waits for the broker, has outlived the work that began it.
        again = client_call_details.wait_for_ready
        details = client_call_details if again else self._traced(client_call_details)
        return await continuation(details, request)


def traced() -> list[grpc.aio.ClientInterceptor]:
    """Return interceptors that pass on the trace of whoever calls. Raises ImportError."""
    try:
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  only where it is asked for
            TraceContextTextMapPropagator,
        )
    except ImportError:
        problem = "tracing=True needs OpenTelemetry: pip install 'wecom-broker-client[otel]'"
        raise ImportError(problem) from None
    inject: Inject = TraceContextTextMapPropagator().inject
    return [_UnaryTracing(inject), _UploadTracing(inject), _StreamTracing(inject)]
