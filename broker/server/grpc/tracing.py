"""The span of each call, around the guard and its short cut. Where tracing is off, nothing of this exists."""

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

import grpc

from broker.domain.access import ANYONE, Caller
from broker.domain.caller_policy import CallerPolicy
from broker.domain.corps import CORP_ID
from broker.domain.errors import BrokerError, Unauthenticated
from broker.server.grpc import errors
from broker.server.grpc.context import Context
from broker.server.grpc.door import Choose, ChooseMethod, Method
from broker.server.grpc.entry.authorizer import named_in
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.rights import Requirement, requirement_of
from broker.server.grpc.entry.subjects import Subjects
from broker.server.grpc.entry.wall_clock import TRANSFERS
from broker.server.grpc.guard import Met, RpcGuard
from broker.telemetry.requests import Rpc, RpcType
from broker.telemetry.tracing import RequestTracer, RpcOutcome

BEHAVIOURS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
Behaviour = Callable[[Any, Context], Any]


@dataclass(slots=True)
class Seen:
    """What is seen of a call on its way through the guard."""

    request: Any = None
    """Its message, or the first of them; None if it was not read."""
    error: BrokerError | None = None


_seen: ContextVar[Seen | None] = ContextVar("_seen", default=None)
"""Of the call that this task handles."""


class CallTracing:
    """Trace the calls of guards."""

    def __init__(self, tracer: RequestTracer, policy: CallerPolicy, subjects: Subjects) -> None:
        self.tracer = tracer
        self._policy = policy
        self._subjects = subjects

    def meeting(self, met: Met) -> Met:
        """Return a `Met` that sees errors, too."""

        def see(error: BrokerError, caller: str) -> None:
            if seen := _seen.get():
                seen.error = error
            met(error, caller)

        return see

    def choosing(self, guard: RpcGuard) -> ChooseMethod:
        """Return `RpcGuard.choose` with a span around each call."""

        def choose(method: str, handler: Method) -> Choose:
            chosen = guard.choose(method, _seeing(handler))
            traced = _TracedMethod(self, guard, method, handler)
            return lambda metadata: cast("Method", _TracedCall(chosen(metadata), traced))

        return choose

    @property
    def is_open(self) -> bool:
        """Return whether everybody is the same caller."""
        return self._policy.is_open

    def named(self, required: Requirement, caller: Caller, request: Any) -> tuple[str, str]:
        """Return the app and corp of a request, as far as they exist and the caller's rules cover them.

        Else they stay out: what a caller may not have, or made up, may be anything.
        """
        app, corp_id = named_in(request)
        if not self._subjects.knows(app) or (corp_id and not CORP_ID.fullmatch(corp_id)):
            return "", ""
        action, path = self._subjects.action(required.action, app, corp_id), getattr(request, "path", "")
        may = self._policy.may(caller, action, app, self._subjects.corp(app, corp_id), path)
        return (app, corp_id) if may else ("", "")


class _TracedMethod:
    """Put a span around whatever handles a call of one method."""

    def __init__(self, tracing: CallTracing, guard: RpcGuard, method: str, handler: Method) -> None:
        given: Any = handler
        self._tracing = tracing
        self._guard = guard
        self._rpc = Rpc.of(method, RpcType.UNARY)
        self._lasts = handler.response_streaming and self._rpc.name not in TRANSFERS
        self._required = requirement_of(method, given.unary_unary or given.unary_stream or given.stream_unary)
        self._deserialize = given.request_deserializer

    def around(self, behaviour: Behaviour) -> Behaviour:
        """Return what handles a call in a span."""
        service, name, lasts, tracer = self._rpc.service, self._rpc.name, self._lasts, self._tracing.tracer

        async def call(received: Any, context: Context) -> Any:
            seen, is_ok = Seen(), False
            _seen.set(seen)
            with tracer.rpc(service, name, context.invocation_metadata() or (), lasts=lasts) as span:
                try:
                    response = await behaviour(received, context)
                    is_ok = True
                    return response
                finally:
                    if span.is_recording:
                        # The short cut reads no message.
                        if isinstance(received, bytes) and seen.request is None and is_ok:
                            seen.request = self._deserialize(received)
                        span.ended(self._outcome(seen, context, is_ok=is_ok))

        return call

    def _outcome(self, seen: Seen, context: Context, *, is_ok: bool) -> RpcOutcome:
        status = grpc.StatusCode.OK if is_ok else grpc.StatusCode.CANCELLED
        if seen.error:
            status = errors.code_of(seen.error)
        caller = self._caller(context, is_ok=is_ok)
        app, corp_id = self._tracing.named(self._required, caller, seen.request) if caller else ("", "")
        return RpcOutcome(
            status.name,
            status.value[0],
            seen.error.reason if seen.error else "",
            caller.name if caller else "",
            app,
            corp_id,
        )

    def _caller(self, context: Context, *, is_ok: bool) -> Caller | None:
        """Return who calls; None if nothing proved it."""
        caller = current_caller.get()
        if caller is not ANYONE:
            return caller
        # The short cut proves a caller, and notes it nowhere. Nothing else answers one that is unknown here.
        with suppress(Unauthenticated):
            return self._guard.identity.of(context) if is_ok or self._tracing.is_open else None
        return None


class _TracedCall:
    """The handler of one call: what was chosen for it, in a span. That is held, for it may count itself."""

    __slots__ = (*BEHAVIOURS, "_chosen", "request_streaming", "response_serializer", "response_streaming")
    request_deserializer = None

    def __init__(self, chosen: Method, method: _TracedMethod) -> None:
        given: Any = chosen
        self._chosen = chosen
        self.request_streaming, self.response_streaming = given.request_streaming, given.response_streaming
        self.response_serializer = given.response_serializer
        for kind in BEHAVIOURS:
            behaviour = getattr(given, kind)
            setattr(self, kind, method.around(behaviour) if behaviour else None)


def _seeing(handler: Method) -> Method:
    """Return the handler with its messages seen as they are read."""
    given: Any = handler
    deserialize = given.request_deserializer

    def read(received: bytes) -> Any:
        message = deserialize(received)
        if (seen := _seen.get()) and seen.request is None:
            seen.request = message
        return message

    return cast("Method", given._replace(request_deserializer=read))
