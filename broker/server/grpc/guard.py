"""What every request passes through: identity → limits → rules → the handler → log and metrics → errors.

Inner layers raise domain errors; only this outermost one aborts a call. gRPC ends a call at the caller's
deadline; one without a deadline ends with the longest wait (`single_flight`).
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, cast

import grpc
import structlog
from google.protobuf.message import DecodeError

from broker.domain.access import Caller
from broker.domain.errors import BrokerError, CallerLimited, CallerNotAllowed, InvalidRequest, Unauthenticated
from broker.server.grpc import errors
from broker.server.grpc.audit.calls import CallAudit
from broker.server.grpc.context import Context
from broker.server.grpc.door import Choose, Method
from broker.server.grpc.entry.admission import Admission, Leave, weight_in
from broker.server.grpc.entry.authorizer import Authorize, Authorizer, told
from broker.server.grpc.entry.early_requests import EarlyRequests
from broker.server.grpc.entry.identity import Identity, Metadata, current_caller
from broker.server.grpc.entry.late_requests import LATE, LateRequests, read_late
from broker.server.grpc.entry.open_streams import OpenStreams, sent
from broker.server.grpc.entry.rights import Permit, requirement_of
from broker.server.grpc.entry.wall_clock import TRANSFERS, ended_after
from broker.server.grpc.leaving import has_left
from broker.server.grpc.warm.method import WarmMethod
from broker.server.grpc.warm.methods import Warm
from broker.telemetry.logging import LOGGER
from broker.telemetry.metrics import Metrics
from broker.telemetry.requests import Record, Rpc, RpcType

LARGEST_REQUEST = 5 * 1024 * 1024 // 4
"""A body or a chunk of 1 MiB, and the fields beside it.

gRPC's own limit is larger, so that the guard refuses such a request by field before gRPC does.
"""
TAKEN_IN_SECONDS = 5.0
"""How long a refused caller may go on sending before its call ends."""

Handler = Callable[[Any, Context], Awaitable[Any]]
StreamHandler = Callable[[Any, Context], AsyncGenerator[Any, None]]
Reader = Callable[[Any], Any]
Answer = Callable[[Any, Any, Context, Permit | None], Awaitable[Any]]
"""Call a handler of a stream, and pass its answers on."""
Met = Callable[[BrokerError, str], None]
"""Take the error with which a call of that caller ended."""


class RpcGuard:
    """Authorize a request, log and measure it, and turn what it raises into a status.

    It wraps the handlers as they are registered: gRPC's own interceptors would slow every call.
    """

    def __init__(
        self,
        identity: Identity,
        admission: Admission,
        authorizer: Authorizer,
        streams: OpenStreams,
        audit: CallAudit,
        metrics: Metrics,
        *,
        met: Met,
        warm: Warm | None = None,
    ) -> None:
        """Without `warm` no method has a short cut."""
        self.identity = identity
        self._admission = admission
        self._authorizer = authorizer
        self._streams = streams
        self._audit = audit
        self._metrics = metrics
        self._met = met
        self._warm = warm or {}
        self._early, self._late = EarlyRequests(), LateRequests()
        self._log = structlog.get_logger(LOGGER)

    def choose(self, method: str, handler: Method) -> Choose:
        """Return what chooses a handler for each call of the method. Raises `Undeclared`."""
        guarded = self.guard(method, handler)
        late, may_be_stranger = read_late(guarded), self.identity.may_be_stranger

        def choose(metadata: Metadata) -> Method:
            return late if may_be_stranger(metadata) else guarded

        if answers := self._warm.get(method):
            repeats = self._metrics.requests.repeats(Rpc.of(method, RpcType.UNARY))
            choose = WarmMethod(guarded, late, answers, self.identity, self._admission, repeats).handler
        return self._early.bounded(choose, late)

    def guard(self, method: str, handler: Method) -> Method:
        """Return the method's handler, wrapped. Raises `Undeclared` if it declares no right."""
        read = _reader(handler)
        serializer = handler.response_serializer
        if handler.unary_unary:
            unary: Any = self._unary(method, cast("Handler", handler.unary_unary), read)
            return grpc.unary_unary_rpc_method_handler(unary, response_serializer=serializer)
        if handler.stream_unary:
            upload: Any = self._open(method, handler.stream_unary, _each(read), _answered)
            return grpc.stream_unary_rpc_method_handler(upload, response_serializer=serializer)
        stream: Any = self._open(method, handler.unary_stream, read, _written)
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=serializer)

    def _unary(self, method: str, handler: Handler, read: Reader) -> Handler:
        required = requirement_of(method, handler)
        authorize = self._authorizer.of(method, required)
        audit = self._audit.of(method, required)
        rpc = _name_of(method)
        weight = weight_in(rpc)
        record = self._recorder(method, RpcType.UNARY)
        warm = self._warm.get(method)

        async def call(received: Any, context: Context) -> Any:
            began = time.perf_counter()
            code = "CANCELLED"
            request = caller = None
            leave: Leave | None = None
            is_let_in = False
            try:
                caller = self._identified(context)
                leave = self._admission.enter(caller, stream=False, rpc=rpc)
                caller, received = await self._awaited(caller, received, context)
                if isinstance(received, bytes) and len(received) > weight:
                    self._admission.weigh(caller, len(received), weight)
                request = read(received)
                permit = authorize(caller, request)
                is_let_in = True
                epoch = warm.epoch if warm else 0
                response = await handler(request, context)
                if permit:
                    permit.demand()
                if warm:
                    warm.keep(epoch, caller.name, received, request, response)
            except Exception as error:  # noqa: BLE001 - the outermost layer: no raw error may leave it
                await self._keep_back(error, caller)
                failure, code = self._failure(method, error)
                audit(context, request, failure)
                await errors.abort(context, told(failure, request))
            else:
                code = "OK"
                if required.operates:
                    audit(context, request, "")
                return response
            finally:
                if required.operates and is_let_in and code == "CANCELLED":
                    audit(context, request, code)
                if leave is not None:
                    leave()
                record(code, began)

        return call

    def _open(self, method: str, handler: Any, read: Reader, answer: Answer) -> Handler:
        """Wrap a handler of a stream, which is cut as soon as its caller loses the right to it."""
        required = requirement_of(method, handler)
        authorize = self._authorizer.of(method, required)
        audit = self._audit.of(method, required)
        rpc = _name_of(method)
        lasts = answer is _written
        record = self._recorder(method, RpcType.SERVER_STREAM if lasts else RpcType.CLIENT_STREAM)
        longest = TRANSFERS.get(rpc)

        # A coroutine, not a generator: a cut must find it wherever it waits, also while it writes.
        async def call(received: Any, context: Context) -> Any:
            began = time.perf_counter()
            code = "CANCELLED"
            request = caller = None
            leave: Leave | None = None
            with self._streams.opened() as stream:
                try:
                    caller = self._identified(context)
                    leave = self._admission.enter(caller, stream=lasts, rpc=rpc)
                    caller, received = await self._awaited(caller, received, context)
                    request = read(received)
                    permit = authorize(caller, request)
                    stream.check = partial(self._check_again, context, authorize, request, permit)
                    stream.look_again_when_over(partial(self.identity.certificate_lasts, context))
                    async with ended_after(longest):
                        response = await answer(handler, request, context, permit)
                except asyncio.CancelledError:
                    if stream.refusal is None:
                        raise
                    failure, code = self._failure(method, stream.refusal)
                    audit(context, request, failure)
                    await errors.abort(context, told(failure, request))
                except Exception as error:  # noqa: BLE001 - as above
                    await self._keep_back(error, caller)
                    failure, code = self._failure(method, error)
                    audit(context, request, failure)
                    if leave is not None:
                        await _take_in(received)
                    await errors.abort(context, told(failure, request))
                else:
                    code = "OK"
                    return response
                finally:
                    if leave is not None:
                        leave()
                    record(code, began)

        return call

    def _recorder(self, method: str, kind: RpcType) -> Record:
        return self._metrics.requests.recorder(Rpc.of(method, kind), errors.CODES)

    async def _keep_back(self, failure: Exception, caller: Caller | None) -> None:
        """Wait before the refusal of who asks too often, or of a stranger, if there are many of them.

        Who leaves meanwhile is not refused: nothing more is done for its call.
        """
        if isinstance(failure, CallerLimited | Unauthenticated) and (
            wait := self._admission.wait_of_refusal(caller)
        ):
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                self._admission.forgo_refusal(caller)
                raise

    async def _awaited(self, caller: Caller, received: Any, context: Context) -> tuple[Caller, Any]:
        """Return who calls and the request, once it is the caller's turn and the request is here.

        Raises `Unauthenticated` if the proof of who calls has ended meanwhile.
        """
        wait = self._admission.wait(caller)
        if wait:
            await asyncio.sleep(wait)
        if received is LATE:
            received = await self._late.read(caller, context)
        elif not wait:
            return caller, received
        return self._identified(context), received

    def _identified(self, context: Context) -> Caller:
        caller = self.identity.of(context)
        current_caller.set(caller)
        return caller

    def _check_again(
        self, context: Context, authorize: Authorize, request: Any, permit: Permit | None
    ) -> None:
        """Return if the caller of an open stream may still have it. Raises as at first."""
        caller = self.identity.of(context)
        if permit:
            permit.check_again()
        else:
            authorize(caller, request)

    def _failure(self, method: str, error: Exception) -> tuple[BrokerError, str]:
        """Return what the caller may know of an error, and the code it is counted under.

        Raises the error itself where the caller is gone: nobody is there to hear of it.
        """
        if has_left(error):
            raise error
        if not isinstance(error, BrokerError) or not errors.is_promised(error):
            incident = secrets.token_hex(4)
            self._log.error("unexpected error", rpc=method, incident=incident, exc_info=error)
            error = errors.Unexpected(f"internal error, incident {incident}")
        code = errors.code_of(error)
        caller = current_caller.get().name
        if isinstance(error, Unauthenticated):
            self._metrics.callers_refused.labels("", error.reason).inc()
        elif isinstance(error, CallerNotAllowed | CallerLimited):
            self._metrics.callers_refused.labels(caller, error.reason).inc()
        self._met(error, caller)
        self._log.debug("refused", rpc=method, caller=caller, reason=error.reason, problem=error.message)
        return error, code.name


def _name_of(method: str) -> str:
    return method.rpartition("/")[2]


def _reader(handler: Method) -> Reader:
    """Return a function that parses the bytes of a request. Raises `InvalidRequest`.

    For bytes that are no message, gRPC would log a traceback, and no metric would count them.
    """
    deserialize = handler.request_deserializer
    if deserialize is None:
        return lambda received: received

    def read(received: bytes) -> Any:
        if len(received) > LARGEST_REQUEST:
            raise InvalidRequest("request", f"is larger than {LARGEST_REQUEST} bytes")
        try:
            return deserialize(received)
        except DecodeError:
            raise InvalidRequest("request", "is no message of this method") from None

    return read


def _each(read: Reader) -> Reader:
    """Return a function that parses each message of a stream as it arrives."""

    async def messages(received: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for message in received:
            yield read(message)

    return messages


async def _answered(handler: Handler, request: Any, context: Context, permit: Permit | None) -> Any:
    """Return the answer to an upload."""
    response = await handler(request, context)
    if permit:
        permit.demand()
    return response


async def _written(handler: StreamHandler, request: Any, context: Context, permit: Permit | None) -> None:
    """Write the answers of a stream."""
    is_first = True
    # Closed here, so that a caller who leaves between two answers leaks no connection.
    async with aclosing(handler(request, context)) as responses:
        async for response in responses:
            if permit:
                permit.demand()
            if is_first:
                is_first = False
                await sent(context.write(response))
            else:
                await context.write(response)
            # Tens of thousands of watches may be silent for an hour: none keeps its last message meanwhile.
            del response


async def _take_in(received: bytes | AsyncIterator[bytes]) -> None:
    """Read what an admitted caller whose upload is refused is still sending, within bounds.

    A client of grpc.aio whose call ends while it writes reports INTERNAL instead of the refusal.
    """
    if not isinstance(received, AsyncIterator):
        return
    size = 0
    # A RuntimeError: whoever passes the upload on has not ended yet, and reads it too.
    with suppress(TimeoutError, grpc.aio.AbortError, RuntimeError):
        async with asyncio.timeout(TAKEN_IN_SECONDS):
            async for message in received:
                size += len(message)
                if size > LARGEST_REQUEST:
                    return
