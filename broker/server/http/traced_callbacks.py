"""Callbacks in spans. Where tracing is off, `CallbackEndpoint` itself answers."""

from contextlib import AbstractContextManager
from contextvars import ContextVar

from aiohttp import web

from broker.domain.ports.observer import Observer
from broker.server.http.callbacks import FAILED, CallbackEndpoint
from broker.server.http.forwarded import Forwarded
from broker.telemetry.tracing import CallbackSpan, RequestTracer
from broker.usecases.callbacks.inbox import CallbackInbox

_span: ContextVar[CallbackSpan] = ContextVar("_span")
"""Of the callback that this task handles."""


class TracedCallbacks(CallbackEndpoint):
    """Answer WeCom, and have a span for each callback."""

    def __init__(
        self, inbox: CallbackInbox, forwarded: Forwarded, observer: Observer, tracer: RequestTracer
    ) -> None:
        super().__init__(inbox, forwarded, observer)
        self._tracer = tracer

    async def _verify(self, request: web.Request) -> web.Response:
        with self._traced(request) as span:
            _span.set(span)
            return await super()._verify(request)

    async def _receive(self, request: web.Request) -> web.Response:
        with self._traced(request) as span:
            _span.set(span)
            return await super()._receive(request)

    def _traced(self, request: web.Request) -> AbstractContextManager[CallbackSpan]:
        resource = request.match_info.route.resource
        # The route, and not the path: that is whatever a stranger sends.
        route = resource.canonical if resource else ""
        return self._tracer.callback(request.method, route, request.headers.items())

    def _answered(self, app: str, outcome: str, answer: web.Response, began: float) -> web.Response:
        # Of what fails unexpectedly nobody knows whether such an app is configured.
        _span.get().ended("" if outcome == FAILED else app, outcome, answer.status)
        return super()._answered(app, outcome, answer, began)
