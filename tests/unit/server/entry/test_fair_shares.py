"""Slots that callers share: nobody gets all of them."""

from contextlib import suppress

import pytest

from broker.domain.access import ANYONE, Caller, Limits
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import CallerLimited
from broker.server.grpc.entry.admission import Admission, Leave
from broker.server.grpc.entry.fair_pool import SOON, fair_pools

ORDERS, MAIL = Caller("orders"), Caller("mail")


def admission(*callers: Caller, pool: int = 64) -> Admission:
    return Admission(CallerPolicy(callers), pools=fair_pools(pool, pool))


def most(door: Admission, caller: Caller, rpc: str, *, stream: bool = False) -> list[Leave]:
    """Enter until refused, at most a thousand times."""
    inside: list[Leave] = []
    with suppress(CallerLimited):
        while len(inside) < 1000:
            inside.append(door.enter(caller, stream=stream, rpc=rpc))
    return inside


def test_one_caller_gets_half_of_a_pool_and_the_next_finds_room() -> None:
    door = admission(ORDERS, MAIL)

    assert len(most(door, ORDERS, "UploadMedia")) == 32
    assert len(most(door, ORDERS, "DownloadMedia", stream=True)) == 0
    assert len(most(door, MAIL, "CallApi")) == 16
    assert len(most(door, ORDERS, "ExchangeLoginCode")) == 32
    for rpc in ("GetUserProfile", "ConvertSession", "BuildInstallUrl"):
        assert most(door, ORDERS, rpc) == []


def test_a_refusal_says_when_to_come_back_and_six_callers_leave_room_for_another() -> None:
    callers = [Caller(f"caller-{number}") for number in range(6)]
    door = admission(*callers, MAIL)
    for caller in callers:
        assert most(door, caller, "CallApi")

    with pytest.raises(CallerLimited) as refused:
        door.enter(callers[0], stream=False, rpc="CallApi")
    assert refused.value.retry_after == SOON
    assert refused.value.metadata["limit"] == "fair_share"


def test_what_leaves_a_pool_leaves_room_and_what_it_refuses_is_not_under_way() -> None:
    orders = Caller("orders", limits=Limits(calls_at_once=5))
    door = admission(orders, pool=8)
    inside = most(door, orders, "UploadMedia")

    assert len(inside) == 4
    inside.pop()()
    door.enter(orders, stream=False, rpc="CallApi")
    door.enter(orders, stream=False, rpc="GetAccessToken")
    with pytest.raises(CallerLimited, match="calls_at_once"):
        door.enter(orders, stream=False, rpc="GetAccessToken")


def test_without_configured_callers_there_are_no_shares() -> None:
    assert len(most(admission(pool=1), ANYONE, "UploadMedia")) == 1000
