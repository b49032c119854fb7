"""A method that has a short cut: a call is answered at once, or takes the whole chain."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

import grpc

from broker.domain.access import Caller
from broker.domain.errors import BrokerError
from broker.server.grpc.access import Identity, Metadata
from broker.server.grpc.context import Context
from broker.server.grpc.entry.admission import Admission
from broker.server.grpc.warm.answers import WarmAnswers

Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Call = Callable[[bytes, Context], Awaitable[bytes]]
Chain = Callable[[bytes, Context], Awaitable[Any]]
Record = Callable[[str, float], None]


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
        self._by_caller: dict[str, Method] = {}
        self._by_connection = _unary(self._identified)
        self._epoch = answers.epoch

    def handler(self, metadata: Metadata) -> Method:
        """Return what handles a call with that metadata."""
        caller = self._identity.known(metadata)
        if caller is None:
            return self._late if self._identity.may_be_stranger(metadata) else self._by_connection
        if self._epoch != self._answers.epoch:
            self._epoch = self._answers.epoch
            self._by_caller.clear()
        handler = self._by_caller.get(caller.name)
        if handler is None:
            handler = self._by_caller[caller.name] = _unary(self._known(caller))
        return handler

    def _known(self, caller: Caller) -> Call:
        """Return what handles the calls of a caller that is proved by what comes with each call."""
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
        """Handle a call whose caller only the connection proves, or nothing."""
        began = time.perf_counter()
        try:
            caller = self._identity.of(context)
        except BrokerError:
            return self._serialize(await self._chain(received, context))
        answer = self._answers.answer(self._answers.of(caller.name), received)
        if answer is None or not self._admission.turnstile(caller)():
            return self._serialize(await self._chain(received, context))
        self._record("OK", began)
        return answer


def _unary(call: Call) -> Method:
    behaviour: Any = call
    return grpc.unary_unary_rpc_method_handler(behaviour)
