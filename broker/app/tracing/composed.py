"""How requests are handled, with and without spans. It is decided once, at the start: no call asks."""

from typing import Protocol

from broker.app.reloading.settings import LiveSettings
from broker.domain.ports.observer import Observer
from broker.domain.ports.tracer import NO_TRACER, Tracer
from broker.server.grpc.door import ChooseMethod
from broker.server.grpc.guard import Met, RpcGuard
from broker.server.grpc.tracing import CallTracing
from broker.server.http.callbacks import CallbackEndpoint
from broker.server.http.forwarded import Forwarded
from broker.server.http.traced_callbacks import TracedCallbacks
from broker.telemetry.tracing import RequestTracer
from broker.usecases.callbacks.inbox import CallbackInbox


class AllTracer(Tracer, RequestTracer, Protocol):
    """Begins all spans."""


class Tracing(Protocol):
    """Puts together what handles requests."""

    tracer: Tracer

    def meeting(self, met: Met) -> Met:
        """Return what takes the errors with which calls end."""

    def choosing(self, guard: RpcGuard) -> ChooseMethod:
        """Return what chooses the handlers of calls."""

    def callbacks(self, inbox: CallbackInbox, forwarded: Forwarded, observer: Observer) -> CallbackEndpoint:
        """Return what answers callbacks."""


class Untraced:
    """Nothing stands between a request and its handler."""

    def __init__(self) -> None:
        self.tracer: Tracer = NO_TRACER

    def meeting(self, met: Met) -> Met:
        """See `Tracing.meeting`."""
        return met

    def choosing(self, guard: RpcGuard) -> ChooseMethod:
        """See `Tracing.choosing`."""
        return guard.choose

    def callbacks(self, inbox: CallbackInbox, forwarded: Forwarded, observer: Observer) -> CallbackEndpoint:
        """See `Tracing.callbacks`."""
        return CallbackEndpoint(inbox, forwarded, observer)


class Traced:
    """Each request has a span."""

    def __init__(self, tracer: AllTracer, settings: LiveSettings) -> None:
        self.tracer: Tracer = tracer
        self._requests = tracer
        calls = CallTracing(tracer, settings.policy, settings.subjects)
        self.meeting, self.choosing = calls.meeting, calls.choosing

    def callbacks(self, inbox: CallbackInbox, forwarded: Forwarded, observer: Observer) -> CallbackEndpoint:
        """See `Tracing.callbacks`."""
        return TracedCallbacks(inbox, forwarded, observer, self._requests)
