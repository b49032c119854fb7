"""Files far larger than WeCom's 20 MiB pass through a broker whose receiver is slow: it holds little of them.

How much memory a process takes varies by some 25 MB with gRPC's windows, the allocator and the load of the
machine. Of a file of 20 MiB that is as much as the file; of these it is a tenth.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import grpc
import psutil
import pytest
from aiohttp import web
from wecom_broker.v1 import wecom_api_service_pb2 as pb
from wecom_broker.v1 import wecom_api_service_pb2_grpc as pb_grpc

from broker.adapters.wecom.passthrough import Passthrough
from broker.domain.ports.passthrough import MediaHead
from tests.integration.acting.acting import tables_of, target
from tests.integration.conftest import Figures
from tests.kit.processes.broker_process import BrokerProcess
from tests.unit.wecom_http.recorders import Surroundings, parent_with

MEBIBYTE = 1 << 20
SIZE = 256 * MEBIBYTE
CHUNK = b"x" * (MEBIBYTE // 2)
PAUSE_SECONDS = 0.005
LARGEST_OF_WECOM = 20 * MEBIBYTE


@dataclass
class Passage:
    """Counts the bytes of one file on both sides of the broker; the receiving side is slow."""

    sent: int = 0
    received: int = 0
    most: int = 0
    """The most bytes that were between the two sides at once."""

    def send(self, count: int) -> None:
        self.sent += count
        self.most = max(self.most, self.sent - self.received)

    async def receive(self, count: int) -> None:
        whole = self.received // MEBIBYTE
        self.received += count
        if self.received // MEBIBYTE > whole:
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def wecom_of(passage: Passage) -> AsyncIterator[str]:
    """Be a WeCom that takes and returns files of any size; it keeps none."""

    async def give_token(_: web.Request) -> web.Response:
        return web.json_response({"errcode": 0, "access_token": "a-token-of-the-parent", "expires_in": 7200})

    async def take(request: web.Request) -> web.Response:
        async for piece in request.content.iter_any():
            await passage.receive(len(piece))
        return web.json_response({"errcode": 0, "media_id": "media-1"})

    async def give(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="a.bin"'})
        response.content_length = SIZE
        await response.prepare(request)
        for _ in range(SIZE // len(CHUNK)):
            await response.write(CHUNK)
            passage.send(len(CHUNK))
        return response

    application = web.Application(client_max_size=0)
    application.router.add_get("/cgi-bin/gettoken", give_token)
    application.router.add_post("/cgi-bin/media/upload", take)
    application.router.add_get("/cgi-bin/media/get", give)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    with socket.socket() as listener:
        # Connections inherit the sizes; by default the system itself would hold a large part of a file.
        for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listener.setsockopt(socket.SOL_SOCKET, buffer, MEBIBYTE // 4)
        listener.bind(("127.0.0.1", 0))
        await web.SockSite(runner, listener).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            await runner.cleanup()


def chunks_of(passage: Passage) -> Iterator[bytes]:
    for _ in range(SIZE // len(CHUNK)):
        passage.send(len(CHUNK))
        yield CHUNK


async def upload(channel: grpc.aio.Channel, passage: Passage) -> None:
    """Upload as much in files of the largest size that WeCom takes: a larger one is refused."""
    chunks = chunks_of(passage)

    async def pieces() -> AsyncIterator[pb.UploadMediaRequest]:
        yield pb.UploadMediaRequest(target=target(), type="file", file_name="a.bin")
        for chunk in islice(chunks, LARGEST_OF_WECOM // len(CHUNK)):
            yield pb.UploadMediaRequest(chunk=chunk)

    while passage.sent < SIZE:
        answer = await pb_grpc.WecomApiServiceStub(channel).UploadMedia(pieces(), timeout=300)
        assert "media-1" == answer.media_id
    assert passage.received > SIZE  # and the forms around the files


async def download(channel: grpc.aio.Channel, passage: Passage) -> None:
    request = pb.DownloadMediaRequest(target=target(), media_id="media-1")
    async for message in pb_grpc.WecomApiServiceStub(channel).DownloadMedia(request, timeout=300):
        await passage.receive(len(message.chunk))
    assert SIZE == passage.received


@dataclass
class Memory:
    """What a process takes, and the most that it took."""

    before: int
    peak: int = 0

    @property
    def grown(self) -> int:
        return self.peak - self.before


@asynccontextmanager
async def peak_of(pid: int) -> AsyncIterator[Memory]:
    """Measure the memory of a process inside the block."""
    process = psutil.Process(pid)
    memory = Memory(process.memory_info().rss)

    async def watch() -> None:
        while True:
            memory.peak = max(memory.peak, process.memory_info().rss)
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    try:
        yield memory
    finally:
        watching.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("transfer", [upload, download])
async def test_a_broker_reads_no_faster_than_it_can_write_and_keeps_nothing(
    tmp_path: Path, transfer: Callable[[grpc.aio.Channel, Passage], Awaitable[None]], figures: Figures
) -> None:
    passage = Passage()
    # A Unix socket holds little itself, unlike TCP.
    address = f"unix://{tmp_path}/broker.sock"
    async with wecom_of(passage) as url:
        tables = {**tables_of(url, tmp_path), "server": {"grpc": [address]}}
        with BrokerProcess(tmp_path / "broker", tables, log_level="info") as broker:
            assert broker.process
            async with grpc.aio.insecure_channel(address) as channel, peak_of(broker.process.pid) as memory:
                await transfer(channel, passage)
    figures(megabytes=SIZE / 1e6, most_at_once=passage.most / 1e6, memory_grown=memory.grown / 1e6)

    assert passage.most < SIZE / 8
    assert memory.grown < SIZE / 4


async def test_an_upload_takes_the_next_chunk_once_the_last_is_on_its_way() -> None:
    passage = Passage()

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in chunks_of(passage):
            yield chunk

    async with wecom_of(passage) as url, Surroundings().wecom(url) as wecom:
        head = MediaHead("a.bin", "application/octet-stream")
        await Passthrough(wecom.client).upload(parent_with("p"), "file", head, chunks())

    assert passage.received > SIZE
    assert passage.most < LARGEST_OF_WECOM


async def test_a_download_waits_for_its_reader() -> None:
    passage = Passage()
    async with wecom_of(passage) as url, Surroundings().wecom(url) as wecom:
        async for piece in Passthrough(wecom.client).download(parent_with("p"), "media-1"):
            await passage.receive(len(piece) if isinstance(piece, bytes) else 0)

    assert SIZE == passage.received
    assert passage.most < LARGEST_OF_WECOM
