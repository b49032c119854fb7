"""A method that has a short cut: a call is answered at once, or takes the whole chain."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc

from broker.domain.access import Caller
from broker.domain.errors import BrokerError
from broker.server.grpc.context import Context
from broker.server.grpc.door import Method
from broker.server.grpc.entry.admission import Admission
from broker.server.grpc.entry.identity import Identity, Metadata
from broker.server.grpc.warm.answers import WarmAnswers
from broker.telemetry.requests import Record

Call = Callable[[bytes, Context], Awaitable[bytes]]
Chain = Callable[[bytes, Context], Awaitable[Any]]


class WarmMethod:
    """Choose how a call is handled, by what is known of its caller before the request is read.

    A call takes the whole chain unless its caller is proved, within its limits, and asks for what it has got
    before under the present rules; so whatever is refused, audited or logged there is so here.
    """

    def __init__(
        self,
        guarded: Method,
        late: Method,
        answers: WarmAnswers[Any],
        identity: Identity,
        admission: Admission,
        record: Record,
    ) -> None:
        """Without a short cut `guarded` handles a call; of a stranger `late` does, which reads later."""
        self._chain = cast("Chain", guarded.unary_unary)
        self._serialize = cast("Callable[[Any], bytes]", guarded.response_serializer)
        self._late = late
        self._answers = answers
        self._identity = identity
        self._admission = admission
        self._record = record
        self._calls: dict[str, Call] = {}
        self._handlers: dict[str, Method] = {}
        self._by_connection = _unary(self._identified)
        self._epoch = answers.epoch

    def handler(self, metadata: Metadata) -> Method:
        """Return what handles a call with that metadata."""
        caller = self._identity.known(metadata)
        if caller is None:
            return self._late if self._identity.may_be_stranger(metadata) else self._by_connection
        call = self._call_of(caller)
        handler = self._handlers.get(caller.name)
        if handler is None:
            handler = self._handlers[caller.name] = _unary(call)
        return handler

    def _call_of(self, caller: Caller) -> Call:
        """Return what answers the caller's calls under the present rules."""
        if self._epoch != self._answers.epoch:
            self._epoch = self._answers.epoch
            self._calls.clear()
            self._handlers.clear()
        call = self._calls.get(caller.name)
        if call is None:
            call = self._calls[caller.name] = self._known(caller)
        return call

    def _known(self, caller: Caller) -> Call:
        answers, chain, serialize, record = self._answers, self._chain, self._serialize, self._record
        own = answers.of(caller.name)
        passes = self._admission.turnstile(caller)

        async def call(received: bytes, context: Context) -> bytes:
            began = time.perf_counter()
            answer = answers.answer(own, received)
            if answer is None or not passes():
                return serialize(await chain(received, context))
            record("OK", began)
            return answer

        return call

    async def _identified(self, received: bytes, context: Context) -> bytes:
        """Handle a call whose caller only the connection proves."""
        try:
            caller = self._identity.of(context)
        except BrokerError:
            # The chain refuses it, with all that belongs to that.
            return self._serialize(await self._chain(received, context))
        return await self._call_of(caller)(received, context)


def _unary(call: Call) -> Method:
    behaviour: Any = call
    return grpc.unary_unary_rpc_method_handler(behaviour)
