"""What every request passes through: identity → policy → the handler → log and metrics → errors.

Inner layers raise domain errors; only this outermost one aborts a call. gRPC ends a call at the caller's
deadline; one without a deadline ends with the longest wait (`single_flight`).
"""

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias, cast

import grpc
import structlog
from google.protobuf.message import DecodeError

from broker.domain.access import CallerPolicy
from broker.domain.apps import APP_NAME
from broker.domain.corps import CORP_ID
from broker.domain.errors import BrokerError, InvalidRequest
from broker.server.grpc import errors
from broker.server.grpc.access import Identity, current_caller
from broker.server.grpc.context import Context
from broker.server.grpc.rights import Of, Permit, Requirement, current_permit, requirement_of
from broker.server.grpc.subjects import Subjects
from broker.telemetry.logging import LOGGER
from broker.telemetry.metrics import Metrics

LARGEST_REQUEST = 4 * 1024 * 1024
"""gRPC's own limit is larger, so that the guard refuses such a request by field before gRPC does."""
MOST_REMEMBERED = 50_000
"""How many decisions of one method are remembered."""

Handler = Callable[[Any, Context], Awaitable[Any]]
StreamHandler = Callable[[Any, Context], AsyncGenerator[Any, None]]
Reader = Callable[[Any], Any]
Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class RpcGuard:
    """Authorize a request, log and measure it, and turn what it raises into a status.

    It wraps the handlers as they are registered: gRPC's own interceptors would slow every call.
    """

    def __init__(self, policy: CallerPolicy, subjects: Subjects, metrics: Metrics) -> None:
        self._policy = policy
        self._identity = Identity(policy)
        self._subjects = subjects
        self._metrics = metrics
        self._log = structlog.get_logger(LOGGER)

    def before(self, server: grpc.aio.Server) -> "Registrar":
        """Return a stand-in for the server that registers servicers behind this guard."""
        return Registrar(self, server)

    def guard(self, method: str, handler: Method) -> Method:
        """Return the method's handler, wrapped. Raises `Undeclared` if it declares no right."""
        read = _reader(handler)
        serializer = handler.response_serializer
        if handler.unary_unary:
            unary: Any = self._unary(method, cast("Handler", handler.unary_unary), read)
            return grpc.unary_unary_rpc_method_handler(unary, response_serializer=serializer)
        if handler.stream_unary:
            upload: Any = self._unary(method, cast("Handler", handler.stream_unary), _each(read))
            return grpc.stream_unary_rpc_method_handler(upload, response_serializer=serializer)
        stream: Any = self._stream(method, cast("StreamHandler", handler.unary_stream), read)
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=serializer)

    def _unary(self, method: str, handler: Handler, read: Reader) -> Handler:
        authorize = self._authorizer(method, requirement_of(method, handler))
        record = self._recorder(method)

        async def call(received: Any, context: Context) -> Any:
            began = time.perf_counter()
            code = "CANCELLED"
            try:
                request = read(received)
                permit = authorize(request, context)
                response = await handler(request, context)
                if permit:
                    permit.demand()
            except Exception as error:  # noqa: BLE001 - the outermost layer: no raw error may leave it
                failure, code = self._failure(method, error)
                await errors.abort(context, failure)
            else:
                code = "OK"
                return response
            finally:
                record(code, began)

        return call

    def _stream(
        self, method: str, handler: StreamHandler, read: Reader
    ) -> Callable[[Any, Context], AsyncIterator[Any]]:
        authorize = self._authorizer(method, requirement_of(method, handler))
        record = self._recorder(method)

        async def call(received: Any, context: Context) -> AsyncIterator[Any]:
            began = time.perf_counter()
            code = "CANCELLED"
            try:
                request = read(received)
                permit = authorize(request, context)
                # Closed here, so that a caller who leaves between two answers leaks no connection.
                async with aclosing(handler(request, context)) as responses:
                    async for response in responses:
                        if permit:
                            permit.demand()
                        yield response
                code = "OK"
            except Exception as error:  # noqa: BLE001 - as above
                failure, code = self._failure(method, error)
                await errors.abort(context, failure)
            finally:
                record(code, began)

        return call

    def _authorizer(self, method: str, required: Requirement) -> Callable[[Any, Context], Permit | None]:
        """Return the check of the method's requests; it returns a permit if the handler has to grant it."""
        if self._policy.is_open and required.of is not Of.HANDLER:
            return _anybody
        # Rights do not change while the broker runs: what was allowed once stays allowed.
        allowed: set[tuple[str, str, str]] = set()

        def authorize(request: Any, context: Context) -> Permit | None:
            caller = self._identity.of(context)
            current_caller.set(caller)
            if required.of is Of.HANDLER:
                return _permit(method, required)
            app, corp_id = _named_in(request)
            if (caller.name, app, corp_id) in allowed:
                return None
            # The handler refuses a missing or malformed name by field: that is no question of rights.
            named = bool(APP_NAME.fullmatch(app)) or (not app and required.of is Of.REQUEST_OR_ALL_APPS)
            if not named or (corp_id and not CORP_ID.fullmatch(corp_id)):
                return _permit(method, required)
            action = self._subjects.action(required.action, app, corp_id)
            self._policy.check(caller, action, app, self._subjects.corp(app, corp_id))
            if len(allowed) < MOST_REMEMBERED:
                allowed.add((caller.name, app, corp_id))
            return None

        return authorize

    def _recorder(self, method: str) -> Callable[[str, float], None]:
        """Return a function that counts and times a request of the method when it ends."""
        rpc = method.rpartition("/")[2]
        seconds = self._metrics.request_seconds.labels(rpc)
        counts: dict[str, Any] = {}

        def record(code: str, began: float) -> None:
            took = time.perf_counter() - began
            count = counts.get(code)
            if count is None:
                count = counts[code] = self._metrics.requests.labels(rpc, code)
            count.inc()
            seconds.observe(took)

        return record

    def _failure(self, method: str, error: Exception) -> tuple[BrokerError, str]:
        """Return what the caller may know of an error, and the code it is counted under."""
        if not isinstance(error, BrokerError) or not errors.is_promised(error):
            incident = secrets.token_hex(4)
            self._log.error("unexpected error", rpc=method, incident=incident, exc_info=error)
            error = errors.Unexpected(f"internal error, incident {incident}")
        code = errors.code_of(error)
        caller = current_caller.get().name
        self._log.debug("refused", rpc=method, caller=caller, reason=error.reason, problem=error.message)
        return error, code.name


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


def _anybody(_request: Any, _context: Context) -> None:
    """Let the request in: no callers are configured."""


def _permit(method: str, required: Requirement) -> Permit:
    permit = Permit(method, required.action)
    current_permit.set(permit)
    return permit


def _named_in(request: Any) -> tuple[str, str]:
    """Return the app and corp id that a request names; empty if it names none."""
    if hasattr(request, "target"):
        return request.target.app, request.target.corp_id
    corp_id = getattr(request, "corp_id", "") or getattr(request, "parent_corp_id", "")
    return getattr(request, "app", ""), corp_id


class Registrar:
    """Stand in for a server while servicers are registered."""

    def __init__(self, guard: RpcGuard, server: grpc.aio.Server) -> None:
        self._guard = guard
        self._server = server

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """Do nothing: generated code passes every method to `add_registered_method_handlers` too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Method]) -> None:
        """Register the methods of one service, each behind the guard."""
        guarded = {
            name: self._guard.guard(f"/{service}/{name}", handler) for name, handler in handlers.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, guarded),))
