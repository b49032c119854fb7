"""The one table from the broker's errors to gRPC statuses."""

from datetime import timedelta
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from broker.domain import errors
from broker.domain.errors import BrokerError
from broker.server.grpc.context import Context

DOMAIN = "wecom-broker"


class Unexpected(BrokerError):
    """A bug in the broker; the log has it under the incident's number."""

    reason = "INTERNAL"


STATUSES: dict[type[BrokerError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.AmbiguousTarget: grpc.StatusCode.INVALID_ARGUMENT,
    errors.CodeRejected: grpc.StatusCode.INVALID_ARGUMENT,
    errors.DataRejected: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownApp: grpc.StatusCode.NOT_FOUND,
    errors.AppNotShared: grpc.StatusCode.NOT_FOUND,
    errors.CorpNotAuthorized: grpc.StatusCode.NOT_FOUND,
    errors.SessionNotFound: grpc.StatusCode.NOT_FOUND,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.CallerNotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    errors.SecretRejected: grpc.StatusCode.FAILED_PRECONDITION,
    errors.IpNotTrusted: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AppDisabled: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ApiNotAuthorized: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ReauthorizationRequired: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SuiteTicketMissing: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AnswerTooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.RateLimited: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.QuotaReserved: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.CallerLimited: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.WecomUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.WecomProtocol: grpc.StatusCode.INTERNAL,
    Unexpected: grpc.StatusCode.INTERNAL,
}
SOON = timedelta(seconds=1)
"""When to come back, where nobody knows how long WeCom or the store will be away."""
CODES = ("OK", "CANCELLED", *sorted({status.name for status in STATUSES.values()}))
"""The names of the statuses with which a guarded call may end."""


def code_of(error: BrokerError) -> grpc.StatusCode:
    """Return the status of the error's kind."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def is_promised(error: Exception) -> bool:
    """Return whether callers may see the error: not if it is unexpected or internal."""
    return any(kind in STATUSES for kind in type(error).__mro__)


def status_of(error: BrokerError) -> Status:
    """Return the rich status: ErrorInfo always, RetryInfo where waiting helps."""
    details = [_packed(ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))]
    retry_after = error.retry_after
    if retry_after is None and code_of(error) is grpc.StatusCode.UNAVAILABLE:
        retry_after = SOON
    if retry_after is not None:
        delay = Duration()
        delay.FromTimedelta(retry_after)
        details.append(_packed(RetryInfo(retry_delay=delay)))
    return Status(code=code_of(error).value[0], message=error.message, details=details)


async def abort(context: Context, error: BrokerError) -> NoReturn:
    """End the call with the error's status."""
    await context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise AssertionError("abort returned")  # pragma: no cover


def _packed(message: ErrorInfo | RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
