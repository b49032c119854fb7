"""Where spans go: by OTLP to a collector, in batches, from a thread of their own.

Endpoint, headers, sampler, names and limits are those of the standard variables, `OTEL_…`. Endpoint and
headers may hold a secret, and so may whatever the library logs: none of it is printed.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import grpc
import structlog
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from broker.telemetry.logging import LOGGER
from broker.telemetry.otel.tracer import OtelTracer

FLUSH_SECONDS = 2.0
"""How long a broker that stops may go on exporting; what is left then is lost."""
TOLD_EVERY_SECONDS = 60.0
NAME = "wecom-broker"
UNNAMED = "unknown_service"
"""How the library begins the name of a service that nobody named."""
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
LIBRARY = "opentelemetry"


class CannotExport(Exception):
    """The variables cannot be used; the message names one, and never its value."""


@asynccontextmanager
async def exporting() -> AsyncIterator[OtelTracer]:
    """Export until the context exits, and then what is left. Raises `CannotExport`.

    A collector that is away costs spans alone: they are dropped, and nobody waits for it.
    """
    with _quiet_library():
        exporter = _exporter()
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        try:
            yield OtelTracer(provider)
        finally:
            # The library would wait for 30 s, in the thread that calls it.
            ending = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
            ending.start()
            await asyncio.to_thread(ending.join, FLUSH_SECONDS)
            if ending.is_alive():
                exporter.shutdown()


def _exporter() -> OTLPSpanExporter:
    for variable in PROTOCOLS:
        if os.environ.get(variable, "grpc") != "grpc":
            raise CannotExport(f"{variable}: must be grpc, or absent: no other exporter is installed")
    try:
        return OTLPSpanExporter()
    except Exception as error:  # noqa: BLE001 - whatever a variable causes; its text may hold the variable
        raise CannotExport(f"OTEL_EXPORTER_OTLP_…: cannot be used: {type(error).__name__}") from None


def _resource() -> Resource:
    found = Resource.create()
    unnamed = str(found.attributes.get(SERVICE_NAME, UNNAMED)).startswith(UNNAMED)
    return found.merge(Resource({SERVICE_NAME: NAME})) if unnamed else found


@contextmanager
def _quiet_library() -> Iterator[None]:
    """Have the library's own log say no more than that something is wrong."""
    library, told = logging.getLogger(LIBRARY), _Told()
    propagated, library.propagate = library.propagate, False
    library.addHandler(told)
    try:
        yield
    finally:
        library.removeHandler(told)
        library.propagate = propagated


class _Told(logging.Handler):
    """Tell once a minute that spans may be missing; the library's words would name the endpoint."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._log = structlog.get_logger(LOGGER)
        self._told_at = -TOLD_EVERY_SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        now = time.monotonic()
        if now - self._told_at < TOLD_EVERY_SECONDS:
            return
        self._told_at = now
        given = record.args if isinstance(record.args, tuple) else ()
        codes = [each.name for each in given if isinstance(each, grpc.StatusCode)]
        self._log.warning("spans cannot be exported", code=codes[0] if codes else "", by=record.name)
