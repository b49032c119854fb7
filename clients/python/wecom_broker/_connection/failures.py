"""Translates all failures of gRPC into errors of `wecom_broker.errors`."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from wecom_broker._connection import status_details
from wecom_broker.errors import (
    BY_REASON,
    BrokerClosed,
    BrokerError,
    BrokerUnreachable,
    DeadlineExceeded,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A failure without ErrorInfo does not come from the broker's code: the reason follows from gRPC's status.
_REASON_OF_STATUS = {
    grpc.StatusCode.UNAVAILABLE: "BROKER_UNREACHABLE",
    grpc.StatusCode.CANCELLED: "BROKER_UNREACHABLE",
    grpc.StatusCode.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    grpc.StatusCode.UNAUTHENTICATED: "UNAUTHENTICATED",
    grpc.StatusCode.PERMISSION_DENIED: "CALLER_NOT_ALLOWED",
}


def error_of(failure: grpc.aio.AioRpcError, address: str) -> BrokerError:
    """Return the typed error of a failed call."""
    details = status_details.read(failure.trailing_metadata() or ())
    reason = details.reason or _REASON_OF_STATUS.get(failure.code(), failure.code().name)
    kind = BY_REASON.get(reason, BrokerError)
    message = failure.details() or ""
    if not details.reason and issubclass(kind, Unavailable):
        message = f"no answer from the broker at {address}: {message}"
    return kind(reason, message, details.metadata, details.retry_after)


def closed() -> BrokerClosed:
    """Return the error of a call on a closed client."""
    return BrokerClosed("BROKER_CLOSED", "the client was closed")


def late(address: str) -> DeadlineExceeded:
    """Return the error of a stream that did not open in time."""
    return DeadlineExceeded("DEADLINE_EXCEEDED", f"the broker at {address} did not open the stream in time")


def ended(address: str) -> BrokerUnreachable:
    """Return the error of a stream that the broker ended."""
    return BrokerUnreachable("BROKER_UNREACHABLE", f"the broker at {address} ended the stream")


def broken(address: str) -> BrokerUnreachable:
    """Return the error of a call whose connection broke."""
    return BrokerUnreachable("BROKER_UNREACHABLE", f"the connection to the broker at {address} broke")


@contextmanager
def translated(address: str = "", is_closed: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Raise typed errors in place of gRPC's; they name the address if no broker answers.

    A CancelledError in a task that was not cancelled comes from what the task awaits, and must not look as if
    the caller were cancelled. If the client is closed, it becomes BrokerClosed. If not, it becomes
    BrokerUnreachable: gRPC cancels the calls of a channel that `RenewingChannel` closes, and now and then an
    upload whose connection breaks. Without `is_closed`, only closing the client cancels what is awaited.
    """
    try:
        yield
    except grpc.aio.AioRpcError as failure:
        raise error_of(failure, address) from failure
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise closed() if is_closed() else broken(address) from None
    except grpc.aio.UsageError:  # what grpc.aio raises for a closed channel
        raise closed() if is_closed() else broken(address) from None
