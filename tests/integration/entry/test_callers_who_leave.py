"""A caller that leaves in the middle leaves no traceback in the log, whatever it was doing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from wecom_broker.v1 import app_share_service_pb2 as share_pb
from wecom_broker.v1 import app_share_service_pb2_grpc as share_grpc
from wecom_broker.v1 import event_service_pb2 as event_pb
from wecom_broker.v1 import event_service_pb2_grpc as event_grpc
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1 import token_service_pb2_grpc as token_grpc
from wecom_broker.v1 import wecom_api_service_pb2 as api_pb
from wecom_broker.v1 import wecom_api_service_pb2_grpc as api_grpc

from broker.simulator import Delay
from tests.integration.acting.acting import APP, CHILD, Acting, acting, tables_of, target
from tests.kit.callbacks.endpoint import CALLBACK

MEBIBYTE = 1 << 20
TIMES = 15
"""Of each stream: it is a race which side notices first."""


class Records(logging.Handler):
    """Keeps what any library logs as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, with its traceback."""
        formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")
        self.found.append(formatter.format(record))


@pytest.fixture
def records() -> Iterator[Records]:
    handler, root = Records(), logging.getLogger()
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Acting]:
    [app] = tables_of("", tmp_path)["apps"]
    async with acting(tmp_path, apps=[{**app, "callback": CALLBACK}]) as running:
        yield running


def file_of(size: int) -> Iterator[api_pb.UploadMediaRequest]:
    yield api_pb.UploadMediaRequest(target=target(CHILD), type="file", file_name="a.bin")
    for start in range(0, size, MEBIBYTE):
        yield api_pb.UploadMediaRequest(chunk=b"x" * min(MEBIBYTE, size - start))


async def endless() -> AsyncIterator[api_pb.UploadMediaRequest]:
    for message in file_of(2 * MEBIBYTE):
        yield message
    await asyncio.Event().wait()


async def downloading(channel: grpc.aio.Channel) -> Any:
    api: Any = api_grpc.WecomApiServiceStub(channel)  # type: ignore[no-untyped-call]
    sent = await api.UploadMedia(file_of(10 * MEBIBYTE))
    call = api.DownloadMedia(api_pb.DownloadMediaRequest(target=target(CHILD), media_id=sent.media_id))
    await call.read()
    await call.read()
    return call


async def uploading(channel: grpc.aio.Channel) -> Any:
    call = api_grpc.WecomApiServiceStub(channel).UploadMedia(endless())  # type: ignore[no-untyped-call]
    await asyncio.sleep(0)
    return call


async def subscribed(channel: grpc.aio.Channel) -> Any:
    request = event_pb.SubscribeEventsRequest(apps=[APP], group="g")
    call: Any = event_grpc.EventServiceStub(channel).SubscribeEvents(request)  # type: ignore[no-untyped-call]
    await call.initial_metadata()
    return call


async def watching_shares(channel: grpc.aio.Channel) -> Any:
    request = share_pb.WatchAppSharesRequest(app=APP)
    call: Any = share_grpc.AppShareServiceStub(channel).WatchAppShares(request)  # type: ignore[no-untyped-call]
    await call.read()
    return call


async def watching_a_token(channel: grpc.aio.Channel) -> Any:
    request = token_pb.WatchAccessTokenRequest(target=target(CHILD))
    call: Any = token_grpc.TokenServiceStub(channel).WatchAccessToken(request)  # type: ignore[no-untyped-call]
    await call.read()
    return call


async def calling(channel: grpc.aio.Channel) -> Any:
    request = api_pb.CallApiRequest(target=target(CHILD), path="/cgi-bin/user/get", query={"userid": "lisi"})
    call: Any = api_grpc.WecomApiServiceStub(channel).CallApi(request)  # type: ignore[no-untyped-call]
    await asyncio.sleep(0.002)
    return call


Begun = Callable[[grpc.aio.Channel], Awaitable[Any]]
Leaves = Callable[[Any, grpc.aio.Channel], Awaitable[None]]
STREAMS: list[Begun] = [downloading, uploading, subscribed, watching_shares, watching_a_token, calling]


async def cancels(call: Any, _: grpc.aio.Channel) -> None:
    call.cancel()


async def hangs_up(_: Any, channel: grpc.aio.Channel) -> None:
    await channel.close()


@pytest.mark.parametrize("begun", STREAMS)
@pytest.mark.parametrize("leaves", [cancels, hangs_up])
async def test_a_caller_that_leaves_in_the_middle_is_no_error(
    running: Acting,
    records: Records,
    begun: Begun,
    leaves: Callable[[Any, grpc.aio.Channel], Awaitable[None]],
) -> None:
    for turn in range(TIMES):
        async with grpc.aio.insecure_channel(
            running.broker.grpc_addresses[0], options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            call = await begun(channel)
            await asyncio.sleep(0.003 * (turn % 5))
            await leaves(call, channel)
    await asyncio.sleep(0.3)

    assert [] == records.found


async def test_a_deadline_that_passes_is_no_error(running: Acting, records: Records) -> None:
    running.world.faults.add("/cgi-bin/user/get", Delay(1))
    running.world.faults.add("/cgi-bin/media/get", Delay(1))
    api: Any = api_grpc.WecomApiServiceStub(running.channel)  # type: ignore[no-untyped-call]
    for turn in range(TIMES):
        request = api_pb.CallApiRequest(target=target(CHILD), path="/cgi-bin/user/get")
        with pytest.raises(grpc.aio.AioRpcError):
            await api.CallApi(request, timeout=0.01 + 0.004 * turn)
        download = api.DownloadMedia(
            api_pb.DownloadMediaRequest(target=target(CHILD), media_id="m"), timeout=0.01 + 0.004 * turn
        )
        with pytest.raises(grpc.aio.AioRpcError):
            await download.read()
    await asyncio.sleep(0.3)

    assert [] == records.found


async def test_streams_that_are_open_at_shutdown_are_no_error(tmp_path: Path, records: Records) -> None:
    [app] = tables_of("", tmp_path)["apps"]
    tables = {
        "apps": [{**app, "callback": CALLBACK}],
        "server": {"grpc": ["127.0.0.1:0"], "drain_seconds": 1},
    }
    async with acting(tmp_path, **tables) as running:
        channel = grpc.aio.insecure_channel(running.broker.grpc_addresses[0])
        calls = [await begun(channel) for begun in STREAMS for _ in range(3)]
    for call in calls:
        call.cancel()
    await channel.close()
    await asyncio.sleep(0.2)

    assert [] == records.found
