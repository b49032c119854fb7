"""What every request passes: identity → policy → deadline → log and metrics → errors.

Domain errors are raised below; only here, outermost, is a call aborted.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import grpc
import structlog

from broker.domain.callers import Action, CallerPolicy
from broker.domain.corps import APP_NAME
from broker.domain.errors import BrokerError, WecomUnavailable
from broker.server import status
from broker.server.context import Context
from broker.server.identity import Identity, current_caller
from broker.telemetry import LOGGER, Metrics

LONGEST_SECONDS = 30.0
"""A unary call without a deadline of its own ends after this."""

ACTIONS: Mapping[str, Action] = {
    "/wecom_broker.v1.TokenService/GetAccessToken": Action.TOKEN_GET,
    "/wecom_broker.v1.TokenService/WatchAccessToken": Action.TOKEN_GET,
    "/wecom_broker.v1.TokenService/ReportInvalidToken": Action.TOKEN_REPORT,
    "/wecom_broker.v1.AppShareService/ListAppShares": Action.SHARE_READ,
    "/wecom_broker.v1.AppShareService/WatchAppShares": Action.SHARE_READ,
    "/wecom_broker.v1.AppShareService/SyncAppShares": Action.SHARE_SYNC,
    "/wecom_broker.v1.AdminService/ListApps": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/ListCredentials": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/GetQuotas": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/GetStatus": Action.ADMIN_READ,
    "/wecom_broker.v1.AdminService/RefreshCredential": Action.ADMIN_REFRESH,
}
"""What each rpc needs; one that is not here is not the broker's own (health, reflection) and open to all."""

Handler = Callable[[Any, Context], Awaitable[Any]]
StreamHandler = Callable[[Any, Context], AsyncIterator[Any]]
Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class Doorway(grpc.aio.ServerInterceptor):
    """Let a request in, watch it, and turn what it raises into a status."""

    def __init__(self, policy: CallerPolicy, own_corps: Mapping[str, str], metrics: Metrics) -> None:
        self._policy = policy
        self._identity = Identity(policy)
        self._own_corps = own_corps
        self._metrics = metrics
        self._log = structlog.get_logger(LOGGER)
        self._wrapped: dict[str, Method] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Method]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Method:
        """Return the method's handler, wrapped once."""
        method = handler_call_details.method
        if wrapped := self._wrapped.get(method):
            return wrapped
        handler = await continuation(handler_call_details)
        if handler is None or method not in ACTIONS:
            return handler
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary:
            unary: Any = self._unary(method, cast("Handler", handler.unary_unary))
            wrapped = grpc.unary_unary_rpc_method_handler(unary, **codec)
        else:
            stream: Any = self._stream(method, cast("StreamHandler", handler.unary_stream))
            wrapped = grpc.unary_stream_rpc_method_handler(stream, **codec)
        self._wrapped[method] = wrapped
        return wrapped

    def _unary(self, method: str, handler: Handler) -> Handler:
        finish = self._finisher(method)
        admit = self._admitter(method)

        async def call(request: Any, context: Context) -> Any:
            began = time.perf_counter()
            code = "CANCELLED"
            try:
                admit(request, context)
                if context.time_remaining() is None:
                    async with asyncio.timeout(LONGEST_SECONDS):
                        response = await handler(request, context)
                else:
                    response = await handler(request, context)
            except Exception as error:  # noqa: BLE001 - the outermost place: nothing may reach the caller raw
                failure, code = self._failure(method, error)
                await status.abort(context, failure)
            else:
                code = "OK"
                return response
            finally:
                finish(code, began)

        return call

    def _stream(self, method: str, handler: StreamHandler) -> StreamHandler:
        finish = self._finisher(method)
        admit = self._admitter(method)

        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            began = time.perf_counter()
            code = "CANCELLED"
            try:
                admit(request, context)
                async for response in handler(request, context):
                    yield response
                code = "OK"
            except Exception as error:  # noqa: BLE001 - as above
                failure, code = self._failure(method, error)
                await status.abort(context, failure)
            finally:
                finish(code, began)

        return call

    def _admitter(self, method: str) -> Callable[[Any, Context], None]:
        """Return what lets a request of the method in, or raises."""
        action = ACTIONS[method]

        def admit(request: Any, context: Context) -> None:
            caller = self._identity.of(context)
            current_caller.set(caller)
            if self._policy.is_open:
                return
            app, corp_id = _named_in(request)
            # A malformed name is refused by field, further in: that is no question of rights.
            if not app or APP_NAME.fullmatch(app):
                self._policy.check(caller, action, app, corp_id or self._own_corps.get(app, ""))

        return admit

    def _finisher(self, method: str) -> Callable[[str, float], None]:
        """Return what counts and logs a request of the method when it ends."""
        rpc = method.rpartition("/")[2]
        seconds = self._metrics.request_seconds.labels(rpc)
        counts: dict[str, Any] = {}

        def finish(code: str, began: float) -> None:
            took = time.perf_counter() - began
            count = counts.get(code)
            if count is None:
                count = counts[code] = self._metrics.requests.labels(rpc, code)
            count.inc()
            seconds.observe(took)

        return finish

    def _failure(self, method: str, error: Exception) -> tuple[BrokerError, str]:
        """Return what the caller may know of an error, and the code it is counted under."""
        if isinstance(error, TimeoutError):
            error = WecomUnavailable(f"not ready within {LONGEST_SECONDS:.0f} s", None)
        if not isinstance(error, BrokerError):
            incident = secrets.token_hex(4)
            self._log.error("unexpected error", rpc=method, incident=incident, exc_info=error)
            error = status.Unexpected(f"internal error, incident {incident}")
        code = status.code_of(error)
        caller = current_caller.get().name
        self._log.debug("refused", rpc=method, caller=caller, reason=error.reason, problem=error.message)
        return error, code.name


def _named_in(request: Any) -> tuple[str, str]:
    """Return the app and corp id that a request names; empty if it names none."""
    if hasattr(request, "target"):
        return request.target.app, request.target.corp_id
    return getattr(request, "app", ""), ""
