"""Spans by OpenTelemetry, and the one place that says what a span may hold.

Only names that are in the code or in the configuration, codes and corp ids become attributes. Messages of
errors, queries, headers and bodies never do; nor does an exception, whose text and stack may hold anything.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Self

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, get_current_span, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from broker import __version__
from broker.domain.ports.tracer import NO_SPAN, NoSpan
from broker.telemetry.tracing import Headers, RpcOutcome

SCOPE = "wecom_broker"
W3C: Final = TraceContextTextMapPropagator()
"""Baggage is not taken: its texts are anybody's."""
CARRIED = ("traceparent", "tracestate")
SERVER_FAULTS = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""The codes that make the span of a server an error; the others are the caller's (semantic conventions)."""
SHOWN_SECONDS = 10.0
"""For how long the steps of a watch are shown: it looks into the store for days, and no trace may grow so."""
HTTP_SERVER_FAULT = 500
GOOD = "0"
"""The outcome of a call to WeCom that went well."""


_open_until: ContextVar[float] = ContextVar("_open_until", default=math.inf)
"""Until when steps of this task's request begin spans of their own."""


class OtelTracer:
    """The `Tracer` and the `RequestTracer` of a broker."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer(SCOPE, __version__)

    def lease_wait(self, kind: str) -> "EndingSpan | NoSpan":
        """See `Tracer.lease_wait`."""
        return self._below(f"lease {kind}", {"wecom_broker.lease": kind})

    def store_script(self, name: str) -> "EndingSpan | NoSpan":
        """See `Tracer.store_script`."""
        return self._below(f"store {name}", {"db.operation.name": name})

    def wecom_call(self, method: str, path: str) -> "OtelCallSpan":
        """See `Tracer.wecom_call`."""
        attributes = {"http.request.method": method, "url.template": path}
        span = self._tracer.start_span(f"{method} {path}", kind=SpanKind.CLIENT, attributes=attributes)
        return OtelCallSpan(span)

    @contextmanager
    def rpc(self, service: str, name: str, metadata: Headers, *, lasts: bool) -> Iterator["OtelRpcSpan"]:
        """See `RequestTracer.rpc`."""
        span = self._tracer.start_span(
            f"{service}/{name}",
            context=_carried_by(metadata),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        _open_until.set(time.monotonic() + SHOWN_SECONDS if lasts else math.inf)
        with OtelRpcSpan(span) as ending, _under(span):
            yield ending

    @contextmanager
    def callback(self, method: str, route: str, headers: Headers) -> Iterator["OtelCallbackSpan"]:
        """See `RequestTracer.callback`.

        Until its signature is checked, a callback comes from anybody on the internet. With a traceparent a
        stranger would choose the trace that our spans are in, and by its sampling flag have each of them
        exported, at our cost. So it becomes a link, without tracestate; the trace is new, and our sampler
        decides.
        """
        sent = get_current_span(_carried_by(headers, "traceparent")).get_span_context()
        span = self._tracer.start_span(
            f"{method} {route}",
            context=Context(),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
            links=[Link(sent)] if sent.is_valid else [],
        )
        with OtelCallbackSpan(span) as ending, _under(span):
            yield ending

    def _below(self, name: str, attributes: dict[str, str]) -> "EndingSpan | NoSpan":
        """Begin a span below a request; elsewhere there is none: a broker looks into its store all day."""
        if not get_current_span().is_recording() or time.monotonic() > _open_until.get():
            return NO_SPAN
        return EndingSpan(self._tracer.start_span(name, attributes=attributes))


class EndingSpan:
    """A span that ends with its block. It is no other's parent by itself: a generator may hold it open."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._is_told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not self._is_told:
            self._tell({}, getattr(error, "reason", type(error).__name__))
        self._span.end()

    def _tell(self, attributes: Mapping[str, str | int], failure: str = "") -> None:
        """Note how it ended; a failure is named by a code or a class, and not described."""
        self._is_told = True
        said = {name: value for name, value in attributes.items() if value != ""}
        self._span.set_attributes(said | {"error.type": failure} if failure else said)
        if failure:
            self._span.set_status(StatusCode.ERROR)


class OtelCallSpan(EndingSpan):
    """See `CallSpan`."""

    def ended(self, outcome: str, http_status: int) -> None:
        """See `CallSpan.ended`."""
        attributes: dict[str, str | int] = {"wecom_broker.outcome": outcome}
        if http_status:
            attributes["http.response.status_code"] = http_status
        if outcome.lstrip("-").isdigit():
            attributes["wecom.errcode"] = int(outcome)
        self._tell(attributes, "" if outcome == GOOD else outcome)


class OtelRpcSpan(EndingSpan):
    """See `RpcSpan`."""

    @property
    def is_recording(self) -> bool:
        """See `RpcSpan.is_recording`."""
        return self._span.is_recording()

    def ended(self, outcome: RpcOutcome) -> None:
        """See `RpcSpan.ended`."""
        attributes: dict[str, str | int] = {
            "rpc.grpc.status_code": outcome.number,
            "wecom_broker.reason": outcome.reason,
            "wecom_broker.caller": outcome.caller,
            "wecom_broker.app": outcome.app,
            "wecom_broker.corp_id": outcome.corp_id,
        }
        self._tell(attributes, outcome.code if outcome.code in SERVER_FAULTS else "")


class OtelCallbackSpan(EndingSpan):
    """See `CallbackSpan`."""

    def ended(self, app: str, outcome: str, http_status: int) -> None:
        """See `CallbackSpan.ended`."""
        attributes: dict[str, str | int] = {
            "http.response.status_code": http_status,
            "wecom_broker.app": app,
            "wecom_broker.outcome": outcome,
        }
        self._tell(attributes, outcome if http_status >= HTTP_SERVER_FAULT else "")


def _under(span: Span) -> AbstractContextManager[Span]:
    """Make it the parent of what begins in the block."""
    return use_span(span, record_exception=False, set_status_on_exception=False)


def _carried_by(headers: Headers, *names: str) -> Context:
    """Return the context that a request brings along."""
    carrier = {name: text for name, text in headers if name in (names or CARRIED) and isinstance(text, str)}
    return W3C.extract(carrier, Context())
