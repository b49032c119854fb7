"""A method that has a short cut: a call is answered at once, or takes the whole chain."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

import grpc

from broker.domain.access import Caller
from broker.domain.errors import BrokerError
from broker.server.grpc.context import Context
from broker.server.grpc.door import Method
from broker.server.grpc.entry.admission import Admission
from broker.server.grpc.entry.identity import Identity, Metadata
from broker.server.grpc.warm.answers import WarmAnswers
from broker.telemetry.requests import Repeats

Chain = Callable[[bytes, Context], Awaitable[Any]]
Repeat = Callable[[bytes], bytes | None]
"""Answer a request as before; None if only the whole chain can tell."""


class KnownCaller(NamedTuple):
    """How the calls of one caller are answered under the present rules."""

    repeat: Repeat
    handler: Method
    """Of its calls whose metadata proves it."""


class WarmMethod:
    """Choose how a call is handled, by what is known of its caller before the request is read.

    A call takes the whole chain unless its caller is proved, within its limits, and asks for what it has got
    before under the present rules; so whatever is refused, audited or logged there is so here.
    """

    def __init__(
        self,
        guarded: Method,
        late: Method,
        answers: WarmAnswers,
        identity: Identity,
        admission: Admission,
        repeats: Repeats,
    ) -> None:
        """Without a short cut `guarded` handles a call; of a stranger `late` does, which reads later."""
        self._chain = cast("Chain", guarded.unary_unary)
        self._serialize = cast("Callable[[Any], bytes]", guarded.response_serializer)
        self._late = late
        self._answers = answers
        self._identity = identity
        self._admission = admission
        self._repeats = repeats
        self._known: dict[str, KnownCaller] = {}
        answers.on_forget.append(self._known.clear)
        self._by_connection = _unary(self._identified)

    def handler(self, metadata: Metadata) -> Method:
        """Return what handles a call with that metadata."""
        caller = self._identity.known(metadata)
        if caller is None:
            return self._late if self._identity.may_be_stranger(metadata) else self._by_connection
        return (self._known.get(caller.name) or self._learn(caller)).handler

    def _learn(self, caller: Caller) -> KnownCaller:
        repeat = self._repeat(caller)
        known = self._known[caller.name] = KnownCaller(repeat, self._answered_by(repeat))
        return known

    def _repeat(self, caller: Caller) -> Repeat:
        find, own, repeats = self._answers.find, self._answers.of(caller.name), self._repeats
        passes = self._admission.turnstile(caller)

        def repeat(received: bytes) -> bytes | None:
            # The first look spares the call of a function: this is on the way of every call.
            kept = own.young.get(received) or find(own, received)
            answer = kept.again() if kept else None
            if answer is None or not passes():
                return None
            repeats.count += 1
            return answer

        return repeat

    def _answered_by(self, repeat: Repeat) -> Method:
        chain, serialize = self._chain, self._serialize

        async def call(received: bytes, context: Context) -> bytes:
            answer = repeat(received)
            return serialize(await chain(received, context)) if answer is None else answer

        return _unary(call)

    async def _identified(self, received: bytes, context: Context) -> bytes:
        """Handle a call whose caller only the connection proves."""
        try:
            caller = self._identity.of(context)
            answer = (self._known.get(caller.name) or self._learn(caller)).repeat(received)
        except BrokerError:
            # The chain refuses it, with all that belongs to that.
            answer = None
        return self._serialize(await self._chain(received, context)) if answer is None else answer


def _unary(call: Callable[[bytes, Context], Awaitable[bytes]]) -> Method:
    behaviour: Any = call
    return grpc.unary_unary_rpc_method_handler(behaviour)
