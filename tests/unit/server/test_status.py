"""The broker's errors on the wire: callers switch on the reason, and know when to come back."""

from datetime import timedelta

import grpc
import grpc.aio
import pytest

from broker.domain.errors import (
    AppNotShared,
    BrokerError,
    EnvelopeRejected,
    InvalidRequest,
    IpNotTrusted,
    RateLimited,
    StoreUnavailable,
    WecomProtocol,
    WecomUnavailable,
)
from broker.server.grpc import errors
from broker.server.grpc.errors import code_of, status_of
from tests.unit.server.fakes import Context, error_info, retry_info


def test_a_status_has_code_message_and_error_info() -> None:
    error = IpNotTrusted("WeCom refuses the address", errcode=60020, ip="203.0.113.7", hint="")
    told = status_of(error)
    info = error_info(told)

    assert (grpc.StatusCode.FAILED_PRECONDITION.value[0], "WeCom refuses the address") == (
        told.code,
        told.message,
    )
    assert ("wecom-broker", "IP_NOT_TRUSTED") == (info.domain, info.reason)
    assert {"errcode": "60020", "ip": "203.0.113.7"} == dict(info.metadata)


def test_waiting_is_told_where_it_helps() -> None:
    told = retry_info(status_of(RateLimited("closed", timedelta(seconds=60.5))))

    assert told
    assert timedelta(seconds=60.5) == told.retry_delay.ToTimedelta()


@pytest.mark.parametrize("error", [WecomUnavailable("nobody knows"), StoreUnavailable("nobody knows")])
def test_who_is_told_to_come_back_is_told_when_though_nobody_knows(error: BrokerError) -> None:
    told = retry_info(status_of(error))

    assert told
    assert errors.SOON == told.retry_delay.ToTimedelta()


@pytest.mark.parametrize(
    "error",
    [
        AppNotShared("not shared"),
        InvalidRequest("app", "is required"),
        WecomProtocol("junk"),
    ],
)
def test_waiting_is_not_told_where_it_does_not_help(error: BrokerError) -> None:
    assert None is retry_info(status_of(error))


def test_a_kind_without_a_row_of_its_own_has_its_parent_s() -> None:
    error = EnvelopeRejected("signature", "not WeCom's")

    assert grpc.StatusCode.INVALID_ARGUMENT is code_of(error)
    assert "DATA_REJECTED" == error_info(status_of(error)).reason


async def test_a_call_is_ended_with_the_rich_status() -> None:
    context = Context()
    error = AppNotShared("not shared", app="crm", corp_id="ww1")

    with pytest.raises(grpc.aio.AbortError):
        await errors.abort(context, error)  # type: ignore[arg-type]

    assert grpc.StatusCode.NOT_FOUND is context.aborted.code
    assert {"app": "crm", "corp_id": "ww1"} == dict(error_info(context.rich).metadata)
