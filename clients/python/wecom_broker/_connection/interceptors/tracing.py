"""The trace that a call belongs to, passed on to the broker as `traceparent` and `tracestate` (W3C)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc.aio

from wecom_broker._connection.interceptors.extending import extending, with_metadata

if TYPE_CHECKING:
    from grpc.aio import ClientCallDetails


def traced() -> list[grpc.aio.ClientInterceptor]:
    """Return interceptors that pass on the trace of whoever calls. Raises ImportError."""
    try:
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  only where it is asked for
            TraceContextTextMapPropagator,
        )
    except ImportError:
        problem = "tracing=True needs OpenTelemetry: pip install 'wecom-broker-client[otel]'"
        raise ImportError(problem) from None
    propagator = TraceContextTextMapPropagator()

    def trace(details: ClientCallDetails) -> ClientCallDetails:
        carried: dict[str, str] = {}
        propagator.inject(carried)
        if not carried:
            return details
        return with_metadata(details, grpc.aio.Metadata(*(details.metadata or ()), *carried.items()))

    def trace_stream(details: ClientCallDetails) -> ClientCallDetails:
        # A stream that is opened again waits for the broker, and has outlived the work that began it.
        return details if details.wait_for_ready else trace(details)

    return extending(trace, stream=trace_stream)
