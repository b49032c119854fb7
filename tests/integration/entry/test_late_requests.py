"""A stranger's request is not even read: what it sends stays in the network."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio
import pytest
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import token_service_pb2 as token_pb

from broker.server.grpc.entry import late_requests
from broker.server.grpc.entry.early_requests import MOST_EARLY
from broker.server.grpc.entry.late_requests import MOST_OF_A_CALLER
from broker.server.grpc.server import UNREAD_BYTES
from broker.simulator.demo import demo_world
from tests.integration.attacks import http2
from tests.kit.broker_here import BrokerHere, broker_here
from tests.kit.processes.fleet import target, until

TOKEN = "the-token-of-orders"
ORDERS = {
    "name": "orders",
    "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
    "allow": [{"apps": ["crm"], "actions": ["token.get", "share.read"]}],
}
MAIL = {**ORDERS, "name": "mail", "token_sha256": hashlib.sha256(b"the-token-of-mail").hexdigest()}
GET = "/wecom_broker.v1.TokenService/GetAccessToken"
WATCH = "/wecom_broker.v1.TokenService/WatchAccessToken"
MEGABYTE = 1 << 20
KNOWN = (("authorization", f"Bearer {TOKEN}"),)
ANOTHER = (("authorization", "Bearer the-token-of-mail"),)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[BrokerHere]:
    async with broker_here(tmp_path, demo_world(), callers=[ORDERS, MAIL]) as here:
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


async def test_a_stranger_may_send_no_more_than_16_kb_before_it_is_refused(here: BrokerHere) -> None:
    """However fast it sends: gRPC would raise that to megabytes for each stream."""
    async with flooding(here.address, 200, {}) as flood:
        await until(lambda: 200 == len(flood.ended))

    assert UNREAD_BYTES == flood.initial_window
    assert UNREAD_BYTES == max(flood.sent.values())


async def test_a_caller_that_leaves_out_the_end_of_its_requests_is_read_in_few_of_them(
    here: BrokerHere, channel: grpc.aio.Channel
) -> None:
    request = token_pb.GetAccessTokenRequest(target=target()).SerializeToString()
    await channel.unary_unary(GET)(request, metadata=KNOWN, timeout=20)
    for _ in range(2):
        async with flooding(here.address, 500, dict(KNOWN)) as flood:
            await until(lambda: len(flood.large) >= MOST_EARLY)
            # Others are answered meanwhile, though theirs are read late now.
            for _ in range(20):
                await channel.unary_unary(GET)(request, metadata=ANOTHER, timeout=20)

        assert MOST_EARLY <= len(flood.large) <= MOST_EARLY + MOST_OF_A_CALLER
        # What was open counts no more, though it never arrived: the second time is like the first.


async def test_what_does_not_arrive_in_time_is_refused(
    here: BrokerHere, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_requests, "READ_SECONDS", 0.2)
    call = channel.stream_stream(GET)(metadata=KNOWN, timeout=20)

    assert grpc.StatusCode.INVALID_ARGUMENT == await call.code()


@dataclass
class Flood:
    """What somebody sends on many streams of one connection, as far as the broker gives room for it."""

    initial_window: int = 0
    sent: dict[int, int] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)

    @property
    def large(self) -> list[int]:
        """Return the streams of which the broker has taken more than it takes unread."""
        return [stream for stream, size in self.sent.items() if size > UNREAD_BYTES]


@asynccontextmanager
async def flooding(address: str, streams: int, metadata: dict[str, str]) -> AsyncIterator[Flood]:
    """Begin so many calls with requests of a megabyte, and leave out the end of each."""
    flood = Flood()
    reader, writer = await http2.connect(address)
    task = asyncio.create_task(_flood(reader, writer, flood, streams, metadata))
    try:
        yield flood
    finally:
        task.cancel()
        await asyncio.wait([task])
        writer.transport.abort()
        if not task.cancelled():
            task.result()


async def _flood(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    flood: Flood,
    streams: int,
    metadata: dict[str, str],
) -> None:
    room, connection = {}, 65535
    while True:
        kind, flags, stream, payload = await http2.read_frame(reader)
        if kind == http2.SETTINGS and not flags & http2.ACK and not room:
            flood.initial_window = http2.settings(payload)[http2.INITIAL_WINDOW_SIZE]
            for number in itertools.islice(http2.streams(), streams):
                room[number], flood.sent[number] = flood.initial_window, 0
                writer.write(
                    http2.frame(http2.HEADERS, http2.END_HEADERS, number, http2.request(GET, **metadata))
                )
        elif kind == http2.WINDOW_UPDATE and not stream:
            connection += int.from_bytes(payload, "big")
        elif kind == http2.WINDOW_UPDATE and stream in room:
            room[stream] += int.from_bytes(payload, "big")
        elif kind == http2.RST_STREAM or (kind == http2.HEADERS and flags & http2.END_STREAM):
            flood.ended.add(stream)
            room.pop(stream, None)
        for each, left in room.items():
            size = min(left, connection, 16384, MEGABYTE - 1 - flood.sent[each])
            begin = b"" if flood.sent[each] else b"\0" + MEGABYTE.to_bytes(4, "big")
            if size > len(begin):
                writer.write(http2.frame(http2.DATA, 0, each, begin + bytes(size - len(begin))))
                room[each], connection = left - size, connection - size
                flood.sent[each] += size


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
