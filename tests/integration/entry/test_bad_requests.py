"""Requests that cannot be answered: the reason and the field are named, and nothing of the inside shows."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import token_service_pb2 as pb

from broker.simulator import AppId
from broker.simulator.demo import PARENT, demo_world
from tests.kit.broker_here import broker_here
from tests.kit.processes.fleet import Refusal, Replica, child, connect, refused, target

HUGE = "x" * 1_000_000
ANY_KIND: Any = 7
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[Replica]:
    world = demo_world()
    # One id that another one begins with, and one child that has the app in both ways.
    world.share(PARENT, AppId("ww1child000000001-b", 1))
    async with broker_here(tmp_path, world) as here, connect(here.address) as (replica,):
        yield replica


def shows_nothing(refusal: Refusal) -> None:
    """Check that no caller learns of the inside, or gets back what it sent."""
    everything = f"{refusal.message} {dict(refusal.metadata)}"
    assert len(everything) < 1000
    for word in ("Traceback", ".py", "File ", "Error(", "0x", HUGE[:100]):
        assert word not in everything


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.GetAccessTokenRequest(), "target.app"),
        (pb.GetAccessTokenRequest(target=target(app="")), "target.app"),
        (pb.GetAccessTokenRequest(target=target(app="no spaces, please")), "target.app"),
        (pb.GetAccessTokenRequest(target=target(app=HUGE)), "target.app"),
        (pb.GetAccessTokenRequest(target=target("no/slash")), "target.corp_id"),
        (pb.GetAccessTokenRequest(target=target("企业")), "target.corp_id"),
        (pb.GetAccessTokenRequest(target=target("x" * 65)), "target.corp_id"),
        (pb.GetAccessTokenRequest(target=target(HUGE)), "target.corp_id"),
        (pb.GetAccessTokenRequest(target=target("ww1\n")), "target.corp_id"),
        (pb.GetAccessTokenRequest(target=target(agent_id=-1)), "target.agent_id"),
        (pb.GetAccessTokenRequest(target=target(agent_id=77)), "target.agent_id"),
        (pb.GetAccessTokenRequest(target=target(share_kind=9)), "target.share_kind"),
        (pb.GetAccessTokenRequest(target=target(), min_ttl=Duration(seconds=-1)), "min_ttl"),
        (pb.GetAccessTokenRequest(target=target(), min_ttl=Duration(nanos=-1)), "min_ttl"),
        (pb.GetAccessTokenRequest(target=target(), min_ttl=Duration(seconds=1, nanos=-1)), "min_ttl"),
        (pb.GetAccessTokenRequest(target=target(), min_ttl=Duration(seconds=2**62)), "min_ttl"),
    ],
)
async def test_a_malformed_field_is_named(
    replica: Replica, request_: pb.GetAccessTokenRequest, field: str
) -> None:
    refusal = await refused(replica.tokens.GetAccessToken(request_, timeout=10))

    assert (INVALID, "INVALID_REQUEST", field) == (
        refusal.code,
        refusal.reason,
        refusal.metadata.get("field"),
    )
    shows_nothing(refusal)


async def test_a_stream_names_the_malformed_field_too(replica: Replica) -> None:
    call = replica.tokens.WatchAccessToken(pb.WatchAccessTokenRequest(target=target(HUGE)), timeout=10)

    refusal = await refused(call.read())

    assert ("INVALID_REQUEST", "target.corp_id") == (refusal.reason, refusal.metadata.get("field"))
    shows_nothing(refusal)


async def test_an_app_that_nobody_configured_is_unknown(replica: Replica) -> None:
    refusal = await refused(
        replica.tokens.GetAccessToken(pb.GetAccessTokenRequest(target=target(app="nobody")))
    )

    assert (grpc.StatusCode.NOT_FOUND, "UNKNOWN_APP") == (refusal.code, refusal.reason)
    assert "nobody" == refusal.metadata["app"]
    shows_nothing(refusal)


async def test_a_corp_that_the_app_is_not_shared_with_is_named(replica: Replica) -> None:
    refusal = await refused(replica.token(child(1)))

    assert (grpc.StatusCode.NOT_FOUND, "APP_NOT_SHARED") == (refusal.code, refusal.reason)
    assert child(1) == refusal.metadata["corp_id"]
    shows_nothing(refusal)


@pytest.mark.parametrize(
    ("generation", "errcode", "field"), [(0, 40014, "generation"), (1, 40001, "errcode")]
)
async def test_a_report_that_cannot_be_meant_is_refused(
    replica: Replica, generation: int, errcode: int, field: str
) -> None:
    request = pb.ReportInvalidTokenRequest(target=target(), generation=generation, errcode=errcode)

    refusal = await refused(replica.tokens.ReportInvalidToken(request))

    assert ("INVALID_REQUEST", field) == (refusal.reason, refusal.metadata.get("field"))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (share_pb.ListAppSharesRequest(app="crm", page_size=-1), "page_size"),
        (share_pb.ListAppSharesRequest(app="crm", page_token="%%%"), "page_token"),
        (share_pb.ListAppSharesRequest(app="crm", page_token="/w=="), "page_token"),
        (share_pb.ListAppSharesRequest(app="crm", share_kind=ANY_KIND), "share_kind"),
        (share_pb.ListAppSharesRequest(app=HUGE), "app"),
    ],
)
async def test_a_list_names_the_malformed_field(
    replica: Replica, request_: share_pb.ListAppSharesRequest, field: str
) -> None:
    refusal = await refused(replica.shares.ListAppShares(request_))

    assert (INVALID, "INVALID_REQUEST", field) == (
        refusal.code,
        refusal.reason,
        refusal.metadata.get("field"),
    )
    shows_nothing(refusal)


async def test_an_admin_request_names_the_malformed_field(replica: Replica) -> None:
    refusal = await refused(replica.admin.ListCredentials(admin_pb.ListCredentialsRequest(app=HUGE)))

    assert ("INVALID_REQUEST", "app") == (refusal.reason, refusal.metadata.get("field"))
    shows_nothing(refusal)


async def test_no_share_is_lost_between_pages_where_one_id_begins_another(replica: Replica) -> None:
    whole = await replica.all_shares()

    assert 6 == len(whole)
    for size in (1, 2, 3):
        assert whole == await replica.all_shares(page_size=size)


async def test_a_longest_min_ttl_gets_the_best_there_is(replica: Replica) -> None:
    request = pb.GetAccessTokenRequest(target=target(), min_ttl=Duration(seconds=315_576_000_000))

    assert (await replica.tokens.GetAccessToken(request, timeout=10)).token.value
