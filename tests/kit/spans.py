"""A tracer whose spans stay in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from broker.telemetry.otel.tracer import OtelTracer


class Spans:
    """All spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = OtelTracer(self.provider)

    def __iter__(self) -> Iterator[ReadableSpan]:
        return iter(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Return those of that name."""
        return [span for span in self if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """Return the only one of that name."""
        [span] = self.named(name)
        return span

    def forget(self) -> None:
        """Forget those that have ended."""
        self._exporter.clear()

    def everything(self) -> bytes:
        """Return all that would leave the process: as it is exported, and as text."""
        spans = list(self)
        return encode_spans(spans).SerializeToString() + "\n".join(map(told, spans)).encode()

    @contextmanager
    def span_of_caller(self) -> Iterator[SpanContext]:
        """Be in a span of the application inside the block."""
        with self.provider.get_tracer("application").start_as_current_span("work") as span:
            yield span.get_span_context()


def told(span: ReadableSpan) -> str:
    """Return all that a span holds as text."""
    events = [(event.name, event.attributes) for event in span.events]
    links = [(link.context, link.attributes) for link in span.links]
    return f"{span.to_json(indent=None)} {events} {links} {span.status.description} {span.context}"
