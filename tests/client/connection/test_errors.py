"""Each reason of the broker has its class, and what comes with it is kept."""

from __future__ import annotations

import pickle
import re
from datetime import timedelta

import grpc
import pytest
from wecom_broker import Broker, BrokerError, errors
from wecom_broker._connection import status_details

from tests.client.fake_broker import FakeBroker, Refusal

# The table of the design, on its own line each: reason, class, status, group.
REASONS = [
    ("UNKNOWN_APP", errors.UnknownApp, "NOT_FOUND", errors.NotFound),
    ("APP_NOT_SHARED", errors.AppNotShared, "NOT_FOUND", errors.NotFound),
    ("CORP_NOT_AUTHORIZED", errors.CorpNotAuthorized, "NOT_FOUND", errors.NotFound),
    ("SESSION_NOT_FOUND", errors.SessionNotFound, "NOT_FOUND", errors.NotFound),
    ("INVALID_REQUEST", errors.InvalidRequest, "INVALID_ARGUMENT", errors.InvalidArgument),
    ("AMBIGUOUS_TARGET", errors.AmbiguousTarget, "INVALID_ARGUMENT", errors.InvalidArgument),
    ("CODE_REJECTED", errors.CodeRejected, "INVALID_ARGUMENT", errors.InvalidArgument),
    ("DATA_REJECTED", errors.DataRejected, "INVALID_ARGUMENT", errors.InvalidArgument),
    ("UNAUTHENTICATED", errors.Unauthenticated, "UNAUTHENTICATED", errors.AccessDenied),
    ("CALLER_NOT_ALLOWED", errors.CallerNotAllowed, "PERMISSION_DENIED", errors.AccessDenied),
    ("SECRET_REJECTED", errors.SecretRejected, "FAILED_PRECONDITION", errors.ActionRequired),
    ("IP_NOT_TRUSTED", errors.IpNotTrusted, "FAILED_PRECONDITION", errors.ActionRequired),
    ("APP_DISABLED", errors.AppDisabled, "FAILED_PRECONDITION", errors.ActionRequired),
    ("API_NOT_AUTHORIZED", errors.ApiNotAuthorized, "FAILED_PRECONDITION", errors.ActionRequired),
    (
        "REAUTHORIZATION_REQUIRED",
        errors.ReauthorizationRequired,
        "FAILED_PRECONDITION",
        errors.ActionRequired,
    ),
    ("SUITE_TICKET_MISSING", errors.SuiteTicketMissing, "FAILED_PRECONDITION", errors.ActionRequired),
    ("RATE_LIMITED", errors.RateLimited, "RESOURCE_EXHAUSTED", errors.LimitReached),
    ("QUOTA_RESERVED", errors.QuotaReserved, "RESOURCE_EXHAUSTED", errors.LimitReached),
    ("CALLER_LIMITED", errors.CallerLimited, "RESOURCE_EXHAUSTED", errors.LimitReached),
    ("WECOM_UNAVAILABLE", errors.WecomUnavailable, "UNAVAILABLE", errors.Unavailable),
    ("STORE_UNAVAILABLE", errors.StoreUnavailable, "UNAVAILABLE", errors.Unavailable),
    ("WECOM_PROTOCOL", errors.WecomProtocolError, "INTERNAL", errors.BrokerError),
]

# Failures that the broker's own code did not make.
BARE = [
    ("UNAVAILABLE", errors.BrokerUnreachable, "BROKER_UNREACHABLE"),
    ("CANCELLED", errors.BrokerUnreachable, "BROKER_UNREACHABLE"),
    ("DEADLINE_EXCEEDED", errors.DeadlineExceeded, "DEADLINE_EXCEEDED"),
    ("UNAUTHENTICATED", errors.Unauthenticated, "UNAUTHENTICATED"),
    ("PERMISSION_DENIED", errors.CallerNotAllowed, "CALLER_NOT_ALLOWED"),
    ("UNKNOWN", errors.BrokerError, "UNKNOWN"),
]


@pytest.mark.parametrize(("reason", "kind", "code", "group"), REASONS)
async def test_each_reason_has_its_class(
    fake: FakeBroker, broker: Broker, *, reason: str, kind: type, code: str, group: type
):
    fake.refusals["SyncAppShares"] = Refusal(grpc.StatusCode[code], reason)

    with pytest.raises(group) as caught:
        await broker.sync_app_shares("crm")
    assert kind is caught.type
    assert reason == caught.value.reason


@pytest.mark.parametrize(("code", "kind", "reason"), BARE)
async def test_a_failure_without_a_reason_is_told_by_its_status(
    fake: FakeBroker, broker: Broker, code: str, kind: type, reason: str
):
    fake.refusals["SyncAppShares"] = Refusal(grpc.StatusCode[code])

    with pytest.raises(kind) as caught:
        await broker.sync_app_shares("crm")
    assert (kind, reason) == (caught.type, caught.value.reason)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"])
async def test_an_error_that_no_broker_made_names_the_address(fake: FakeBroker, broker: Broker, code: str):
    fake.refusals["SyncAppShares"] = fake.refusals["WatchAccessToken"] = Refusal(grpc.StatusCode[code])

    for call in (broker.sync_app_shares("crm"), broker.access_token("crm")):
        with pytest.raises(errors.Unavailable) as caught:
            await call
        assert (
            f"no answer from the broker at {fake.address}: because the test says so" == caught.value.message
        )


async def test_nobody_at_the_address_is_told_with_it(fake: FakeBroker, broker: Broker):
    await fake.stop()

    for call in (
        broker.sync_app_shares("crm"),
        broker.access_token("crm"),
        broker.upload_media("crm", "file", "a.txt", b"text"),
        broker.download_media("crm", "media-1").__aenter__(),
    ):
        with pytest.raises(errors.BrokerUnreachable, match=f"no answer from the broker at {fake.address}: "):
            await call


async def test_what_the_broker_itself_says_is_left_as_it_is(fake: FakeBroker, broker: Broker):
    fake.refusals["SyncAppShares"] = Refusal(grpc.StatusCode.UNAVAILABLE, "WECOM_UNAVAILABLE")

    with pytest.raises(errors.WecomUnavailable) as caught:
        await broker.sync_app_shares("crm")
    assert "because the test says so" == caught.value.message


async def test_an_unknown_reason_is_the_base_class(fake: FakeBroker, broker: Broker):
    fake.refusals["SyncAppShares"] = Refusal(grpc.StatusCode.ABORTED, "FROM_THE_FUTURE")

    with pytest.raises(BrokerError) as caught:
        await broker.sync_app_shares("crm")
    assert (BrokerError, "FROM_THE_FUTURE") == (caught.type, caught.value.reason)


async def test_a_reason_of_another_domain_is_not_ours(fake: FakeBroker, broker: Broker):
    fake.refusals["SyncAppShares"] = Refusal(
        grpc.StatusCode.UNAVAILABLE, "APP_NOT_SHARED", domain="mesh.example"
    )

    with pytest.raises(errors.BrokerUnreachable):
        await broker.sync_app_shares("crm")


async def test_message_metadata_and_retry_delay_are_kept(fake: FakeBroker, broker: Broker):
    fake.refusals["SyncAppShares"] = Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
        message="gettoken is closed",
        metadata={"errcode": "45009", "endpoint": "gettoken"},
        retry_after=timedelta(seconds=61, milliseconds=500),
    )

    with pytest.raises(errors.RateLimited) as caught:
        await broker.sync_app_shares("crm")
    assert "gettoken is closed" == caught.value.message
    assert {"errcode": "45009", "endpoint": "gettoken"} == caught.value.metadata
    assert timedelta(seconds=61.5) == caught.value.retry_after
    assert "RATE_LIMITED: gettoken is closed endpoint=gettoken errcode=45009" == str(caught.value)


async def test_without_a_retry_delay_there_is_none(fake: FakeBroker, broker: Broker):
    fake.refusals["SyncAppShares"] = Refusal(grpc.StatusCode.NOT_FOUND, "UNKNOWN_APP")

    with pytest.raises(errors.UnknownApp) as caught:
        await broker.sync_app_shares("crm")
    assert caught.value.retry_after is None
    assert {} == caught.value.metadata


def test_garbled_details_are_no_details():
    garbled = [("grpc-status-details-bin", b"\xff\xff\xff")]

    assert status_details.StatusDetails() == status_details.read(garbled)


def test_an_error_survives_pickling():
    error = errors.RateLimited("RATE_LIMITED", "slow down", {"errcode": "45009"}, timedelta(seconds=3))
    copy = pickle.loads(pickle.dumps(error))

    assert (type(error), error.args) == (type(copy), copy.args)


def test_every_error_is_in_the_drawn_tree_and_every_leaf_has_a_reason():
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, BrokerError)
    }
    groups = {base for kind in classes.values() for base in kind.__mro__[1:]}
    drawn = dict(re.findall(r"(\w+)(?: +([A-Z_]{5,})\b)?", errors.__doc__))

    assert set(classes) <= set(drawn)
    assert {kind for kind in classes.values() if kind not in groups} == set(errors.BY_REASON.values())
    assert {reason: kind.__name__ for reason, kind in errors.BY_REASON.items()} == {
        reason: name for name, reason in drawn.items() if reason
    }
