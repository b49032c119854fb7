"""A stranger's request is not even read: what it sends stays in the network."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import token_service_pb2 as token_pb

from broker.simulator.demo import demo_world
from tests.kit.broker_here import BrokerHere, broker_here
from tests.kit.processes.fleet import target

TOKEN = "the-token-of-orders"
ORDERS = {
    "name": "orders",
    "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
    "allow": [{"apps": ["crm"], "actions": ["token.get", "share.read"]}],
}
GET = "/wecom_broker.v1.TokenService/GetAccessToken"
WATCH = "/wecom_broker.v1.TokenService/WatchAccessToken"
KNOWN = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[BrokerHere]:
    async with broker_here(tmp_path, demo_world(), callers=[ORDERS]) as here:
        yield here


@pytest.fixture
async def channel(here: BrokerHere) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(here.address, options=options) as channel:
        yield channel


@pytest.mark.parametrize("rpc", [GET, WATCH])
async def test_a_stranger_is_refused_before_its_request_is_sent(channel: grpc.aio.Channel, rpc: str) -> None:
    """A client that never sends a message is answered all the same."""
    call = channel.stream_stream(rpc)(timeout=20)

    assert grpc.StatusCode.UNAUTHENTICATED == await call.code()


async def test_the_first_call_and_the_next_of_a_known_caller_are_answered(channel: grpc.aio.Channel) -> None:
    request = token_pb.GetAccessTokenRequest(target=target()).SerializeToString()
    for _ in range(3):
        answer = await channel.unary_unary(GET)(request, metadata=KNOWN, timeout=20)
        assert token_pb.GetAccessTokenResponse.FromString(answer).token.value


async def test_the_first_stream_of_a_known_caller_is_answered(channel: grpc.aio.Channel) -> None:
    request = token_pb.WatchAccessTokenRequest(target=target()).SerializeToString()
    call = channel.unary_stream(WATCH)(request, metadata=KNOWN, timeout=20)

    assert token_pb.WatchAccessTokenResponse.FromString(await call.read()).token.value
    call.cancel()


async def test_a_known_caller_that_sends_no_request_is_told_so(channel: grpc.aio.Channel) -> None:
    call = channel.stream_unary(GET)(iter(()), metadata=KNOWN, timeout=20)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    assert grpc.StatusCode.INVALID_ARGUMENT == refused.value.code()


async def test_a_method_that_is_none_is_told_to_strangers_too(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await channel.unary_unary(GET + "s")(b"", timeout=20)
    assert grpc.StatusCode.UNIMPLEMENTED == refused.value.code()


async def test_a_flood_of_strangers_is_answered_slowly_and_a_caller_at_once(
    channel: grpc.aio.Channel,
) -> None:
    strangers = [asyncio.ensure_future(_code(channel, ())) for _ in range(400)]
    request = share_pb.ListAppSharesRequest(app="crm")
    await channel.unary_unary("/wecom_broker.v1.AppShareService/ListAppShares")(
        request.SerializeToString(), metadata=KNOWN, timeout=20
    )
    waiting = sum(not each.done() for each in strangers)

    assert waiting > 100
    for each in strangers:
        each.cancel()
    await asyncio.gather(*strangers, return_exceptions=True)


async def _code(channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    call = channel.unary_unary(GET)(b"", metadata=metadata, timeout=20)
    return await call.code()
