"""The share list of an app."""

from __future__ import annotations

import grpc
import pytest
from wecom_broker import AppShare, AppShareChange, AppShareSync, Broker, ShareChangeType, ShareKind
from wecom_broker._target import SHARE_KIND_NUMBERS
from wecom_broker.errors import UnknownApp
from wecom_broker.v1 import app_share_service_pb2 as pb

from tests.client.fake_broker import FakeBroker, Refusal


def share(number: int, kind: ShareKind = ShareKind.CORP_GROUP) -> AppShare:
    return AppShare("crm", f"ww{number}", f"Corp {number}", number, kind)


def message(number: int, kind: ShareKind = ShareKind.CORP_GROUP) -> pb.AppShare:
    return pb.AppShare(
        app="crm",
        corp_id=f"ww{number}",
        corp_name=f"Corp {number}",
        agent_id=number,
        share_kind=SHARE_KIND_NUMBERS[kind],
    )


async def test_all_pages_are_listed(fake: FakeBroker, broker: Broker):
    fake.shares = [message(number) for number in range(5)]

    assert [share(number) for number in range(5)] == [each async for each in broker.app_shares("crm")]
    assert 3 == fake.calls["ListAppShares"]


async def test_one_kind_can_be_asked_for(fake: FakeBroker, broker: Broker):
    fake.shares = [message(1), message(2, ShareKind.SUPPLY_CHAIN)]

    assert [share(2, ShareKind.SUPPLY_CHAIN)] == [
        each async for each in broker.app_shares("crm", share_kind="supply_chain")
    ]


async def test_the_parent_whose_shares_are_meant_is_named(fake: FakeBroker, broker: Broker):
    fake.shares = [message(1)]
    fake.shares[0].parent_corp_id = "wpP"

    (found,) = [each async for each in broker.app_shares("market", parent="wpP")]
    await broker.sync_app_shares("market", parent="wpP")
    fake.share_changes = [pb.WatchAppSharesResponse(change_type=pb.SHARE_CHANGE_TYPE_SNAPSHOT)]
    watch = broker.watch_app_shares("market", parent="wpP")
    await anext(watch)
    await watch.aclose()

    assert "wpP" == found.parent_corp_id
    assert [
        pb.ListAppSharesRequest(app="market", parent_corp_id="wpP"),
        pb.SyncAppSharesRequest(app="market", parent_corp_id="wpP"),
        pb.WatchAppSharesRequest(app="market", parent_corp_id="wpP"),
    ] == fake.requests


async def test_a_refused_listing_raises(fake: FakeBroker, broker: Broker):
    fake.refusals["ListAppShares"] = Refusal(grpc.StatusCode.NOT_FOUND, "UNKNOWN_APP")

    with pytest.raises(UnknownApp):
        await anext(broker.app_shares("crm"))


async def test_a_sync_tells_what_changed(fake: FakeBroker, broker: Broker):
    fake.shares = [message(1)]

    assert AppShareSync((share(1),), (), 7) == await broker.sync_app_shares("crm")


async def test_a_watch_gives_the_snapshot_then_changes_and_after_a_break_a_snapshot(
    fake: FakeBroker, broker: Broker
):
    snapshot = pb.WatchAppSharesResponse(
        change_type=pb.SHARE_CHANGE_TYPE_SNAPSHOT, shares=[message(1)], snapshot_complete=True
    )
    added = pb.WatchAppSharesResponse(change_type=pb.SHARE_CHANGE_TYPE_ADDED, shares=[message(2)])
    fake.share_changes = [snapshot, added]  # after which the fake ends the stream
    changes = broker.watch_app_shares("crm")
    seen = [await anext(changes) for _ in range(4)]
    await changes.aclose()

    assert (
        2
        * [
            AppShareChange(ShareChangeType.SNAPSHOT, (share(1),), snapshot_complete=True),
            AppShareChange(ShareChangeType.ADDED, (share(2),), snapshot_complete=False),
        ]
        == seen
    )


def test_a_kind_from_the_future_is_none():
    assert AppShare.from_proto(pb.AppShare(share_kind=99)).share_kind is None
    assert AppShareChange.from_proto(pb.WatchAppSharesResponse(change_type=99)).change_type is None
