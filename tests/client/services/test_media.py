"""Files, streamed both ways."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from wecom_broker import Broker, MediaHead, MediaUpload, Target, sync
from wecom_broker._services.media import PIECE
from wecom_broker.errors import (
    ApiNotAuthorized,
    BrokerClosed,
    BrokerUnreachable,
    DeadlineExceeded,
    InvalidRequest,
)
from wecom_broker.v1 import wecom_api_service_pb2 as pb

from tests.client.fake_broker import FakeBroker, Refusal
from tests.client.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * (10 * PIECE // 1024)  # two pieces and a half
SHORT = timedelta(milliseconds=100)


def uploaded(fake: FakeBroker) -> bytes:
    return b"".join(message.chunk for message in fake.uploaded)


def halves() -> Iterator[bytes]:
    yield CONTENT[: len(CONTENT) // 2]
    yield CONTENT[len(CONTENT) // 2 :]


class AsyncHalves:
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for half in halves():
            await asyncio.sleep(0)
            yield half


def uploading() -> list[asyncio.Task[Any]]:
    """Return the tasks of uploads: the client's own, and gRPC's that reads the messages."""
    return [
        task
        for task in asyncio.all_tasks()
        if "upload" in task.get_name() or "_consume_request_iterator" in repr(task)
    ]


class TestUpload:
    async def test_the_head_goes_first_and_the_content_in_pieces(self, fake: FakeBroker, either: Broker):
        answer = await either.upload_media(
            "crm", "image", "图.png", CONTENT, "ww1", content_type="image/png", share_kind="corp_group"
        )

        assert MediaUpload(0, "ok", "media-1") == answer
        assert (
            pb.UploadMediaRequest(
                target=Target.of("crm", "ww1", "corp_group", 0).to_proto(),
                type="image",
                file_name="图.png",
                content_type="image/png",
            )
            == fake.uploaded[0]
        )
        assert [0, PIECE, PIECE, PIECE // 2] == [len(message.chunk) for message in fake.uploaded]
        assert CONTENT == uploaded(fake)

    @pytest.mark.parametrize("kind", ["bytearray", "memoryview", "str", "path", "file", "iterable", "async"])
    async def test_content_comes_in_many_forms(
        self, fake: FakeBroker, either: Broker, tmp_path: Path, kind: str
    ):
        path = tmp_path / "file.bin"
        path.write_bytes(CONTENT)
        content: dict[str, Any] = {
            "bytearray": bytearray(CONTENT),
            "memoryview": memoryview(CONTENT),
            "str": str(path),
            "path": path,
            "file": io.BytesIO(CONTENT),
            "iterable": halves(),
            "async": AsyncHalves(),
        }

        assert "media-1" == (await either.upload_media("crm", "file", "a", content[kind])).media_id
        assert CONTENT == uploaded(fake)

    async def test_an_empty_file_is_only_a_head(self, fake: FakeBroker, either: Broker):
        await either.upload_media("crm", "file", "a", b"")

        assert 1 == len(fake.uploaded)

    async def test_an_errcode_comes_as_an_answer(self, fake: FakeBroker, either: Broker):
        fake.upload_answer = pb.UploadMediaResponse(errcode=40009, errmsg="invalid image size")

        assert MediaUpload(40009, "invalid image size", "") == await either.upload_media(
            "crm", "image", "a", CONTENT
        )

    async def test_what_the_content_raises_is_raised_and_no_file_arrives(
        self, fake: FakeBroker, either: Broker
    ):
        def broken() -> Iterator[bytes]:
            yield CONTENT
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="the disk is gone"):
            await either.upload_media("crm", "file", "a", broken())
        with pytest.raises(FileNotFoundError):
            await either.upload_media("crm", "file", "a", "/nowhere/at/all")
        assert "media-1" == (await either.upload_media("crm", "file", "a", b"next")).media_id

    async def test_a_refusal_does_not_wait_for_the_content(self, fake: FakeBroker, broker: Broker):
        async def forever() -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.Event().wait()

        fake.refusals["UploadMedia"] = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")

        with pytest.raises(InvalidRequest):
            await broker.upload_media("crm", "hologram", "a", forever())
        await until(lambda: not uploading())

    async def test_the_broker_sets_the_pace(self, fake: FakeBroker, broker: Broker):
        taken = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal taken
            while True:
                taken += 1
                yield bytes(PIECE)

        fake.hold()
        upload = asyncio.create_task(broker.upload_media("crm", "file", "a", endless()))
        await fake.until(lambda: fake.calls["UploadMedia"] == 1)
        async with asyncio.timeout(10):
            held = -1
            while held != taken:  # until the windows of HTTP/2 are full: then nobody asks for more
                held = taken
                await asyncio.sleep(0.5)
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        fake.release()
        await until(lambda: not uploading())

    async def test_it_has_a_deadline_of_its_own(self, fake: FakeBroker, either: Broker):
        fake.hold()

        with pytest.raises(DeadlineExceeded):
            await either.upload_media("crm", "file", "a", CONTENT, timeout=SHORT)
        fake.release()

    async def test_no_broker_is_told_and_leaves_nothing_behind(self, fake: FakeBroker, broker: Broker):
        await fake.stop()

        with pytest.raises(BrokerUnreachable):
            await broker.upload_media("crm", "file", "a", CONTENT)
        await until(lambda: not uploading())

    async def test_closing_the_client_ends_it(self, fake: FakeBroker, broker: Broker):
        fake.hold()
        upload = asyncio.create_task(broker.upload_media("crm", "file", "a", CONTENT))
        await fake.until(lambda: fake.calls["UploadMedia"] == 1)
        await broker.close()

        with pytest.raises(BrokerClosed):
            await upload
        await until(lambda: not uploading())
        fake.release()


class InThreads:
    """A download of the client for threads, read from threads."""

    def __init__(self, download: sync.MediaDownload) -> None:
        self.head = download.head
        self._download = download

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self._download)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece

    async def read(self) -> bytes:
        return await asyncio.to_thread(self._download.read)


class Downloads:
    """Open downloads of either client alike."""

    def __init__(self, client: Broker | sync.Broker) -> None:
        self._client = client

    @asynccontextmanager
    async def open(self, app: str, media_id: str, corp: str = "", **options: object) -> AsyncIterator[Any]:
        opening = self._client.download_media(app, media_id, corp, **options)
        if isinstance(self._client, Broker):
            async with opening as download:
                yield download
        else:
            download = await asyncio.to_thread(opening.__enter__)
            try:
                yield InThreads(download)
            finally:
                await asyncio.to_thread(opening.__exit__, None, None, None)


class TestDownload:
    @pytest.fixture(params=["asyncio", "asyncio with a bearer token", "threads"])
    async def client(
        self, fake: FakeBroker, request: pytest.FixtureRequest
    ) -> AsyncIterator[Broker | sync.Broker]:
        if request.param == "threads":
            client = sync.Broker(fake.address)
            yield client
            await asyncio.to_thread(client.close)
        else:
            async with Broker(fake.address, token="hush" if "bearer" in request.param else None) as broker:
                yield broker

    @pytest.fixture
    def downloads(self, client: Broker | sync.Broker) -> Downloads:
        return Downloads(client)

    @pytest.fixture
    async def file(self, fake: FakeBroker) -> FakeBroker:
        fake.pieces = [
            pb.DownloadMediaResponse(content_type="image/png", file_name="图.png", size_bytes=9),
            pb.DownloadMediaResponse(chunk=b"first"),
            pb.DownloadMediaResponse(chunk=b"last"),
        ]
        return fake

    async def test_the_head_is_known_when_it_is_entered_and_pieces_come_after(
        self, file: FakeBroker, downloads: Downloads
    ):
        async with downloads.open("crm", "media-1", "ww1", share_kind="corp_group") as download:
            assert MediaHead("image/png", "图.png", 9) == download.head
            assert [b"first", b"last"] == [piece async for piece in download]

        target = Target.of("crm", "ww1", "corp_group", 0).to_proto()
        assert [pb.DownloadMediaRequest(target=target, media_id="media-1")] == file.requests

    async def test_all_can_be_read_at_once(self, file: FakeBroker, downloads: Downloads):
        async with downloads.open("crm", "media-1") as download:
            assert b"firstlast" == await download.read()

    async def test_a_head_that_carries_a_piece_is_read_whole(self, file: FakeBroker, downloads: Downloads):
        file.pieces[0].chunk = b"very "

        async with downloads.open("crm", "media-1") as download:
            assert b"very firstlast" == await download.read()

    async def test_what_nothing_is_said_of_is_empty(self, fake: FakeBroker, downloads: Downloads):
        async with downloads.open("crm", "media-1") as download:
            assert MediaHead("", "", None) == download.head
            assert b"" == await download.read()

    async def test_leaving_early_ends_the_transfer(self, file: FakeBroker, downloads: Downloads):
        file.endless = True
        async with downloads.open("crm", "media-1") as download:
            async for piece in download:
                assert b"first" == piece
                break
        await file.until(lambda: file.open_downloads == 0)

    async def test_a_refusal_is_raised_on_entering(self, fake: FakeBroker, downloads: Downloads):
        fake.refusals["DownloadMedia"] = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "API_NOT_AUTHORIZED")

        with pytest.raises(ApiNotAuthorized):
            async with downloads.open("crm", "media-1"):
                pass

    async def test_a_file_that_breaks_off_is_an_error_and_no_shorter_file(
        self, file: FakeBroker, downloads: Downloads
    ):
        file.endless = True
        async with downloads.open("crm", "media-1") as download:
            pieces = aiter(download)
            assert [b"first", b"last"] == [await anext(pieces), await anext(pieces)]
            await file.stop()

            with pytest.raises(BrokerUnreachable):
                await anext(pieces)

    async def test_it_has_a_deadline_of_its_own(self, file: FakeBroker, downloads: Downloads):
        file.endless = True
        with pytest.raises(DeadlineExceeded):
            async with downloads.open("crm", "media-1", timeout=SHORT) as download:
                await download.read()

    async def test_closing_the_client_ends_it(self, file: FakeBroker, client: Broker | sync.Broker):
        file.endless = True
        async with Downloads(client).open("crm", "media-1") as download:
            reading = asyncio.create_task(download.read())
            await asyncio.sleep(0.05)
            if isinstance(client, Broker):
                await client.close()
            else:
                await asyncio.to_thread(client.close)

            with pytest.raises(BrokerClosed):
                await reading
        await file.until(lambda: file.open_downloads == 0)
