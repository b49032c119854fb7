"""Tracing as the configuration says: off, or by OpenTelemetry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker.app.errors import CannotStart
from broker.app.reloading.settings import LiveSettings
from broker.app.tracing.composed import AllTracer, Traced, Tracing, Untraced
from broker.config.checking.warnings import NO_TRACING
from broker.config.schema import Config


@asynccontextmanager
async def open_tracing(
    config: Config, settings: LiveSettings, tracer: AllTracer | None = None
) -> AsyncIterator[Tracing]:
    """Trace until the context exits, by another tracer if one is given. Raises `CannotStart`."""
    if tracer or not config.tracing.enabled:
        yield Traced(tracer, settings) if tracer else Untraced()
        return
    try:
        from broker.telemetry.otel import export  # noqa: PLC0415 - imported only where tracing is on
    except ImportError:
        raise CannotStart(NO_TRACING) from None
    try:
        async with export.exporting() as exported:
            yield Traced(exported, settings)
    except export.CannotExport as error:
        raise CannotStart(f"tracing.enabled: {error}") from None
