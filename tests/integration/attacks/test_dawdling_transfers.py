"""F11: one caller sends files that never end, and reads none that it asked for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
import pytest
from wecom_broker.v1 import wecom_api_service_pb2 as pb
from wecom_broker.v1 import wecom_api_service_pb2_grpc as pb_grpc

from tests.integration.attacks.ground import Ground
from tests.integration.attacks.place import ATTACKER, Place, bearer
from tests.integration.attacks.trial import SLICES, trial, tried
from tests.integration.conftest import Figures
from tests.kit.processes.fleet import target

AT_ONCE = 64
UPLOAD, DOWNLOAD = "/cgi-bin/media/upload", "/cgi-bin/media/get"
LARGE = 5 * 1024 * 1024
PIECE = 256 * 1024
AGAIN_SECONDS = 0.5
CREDENTIALS: Any = (("authorization", f"Bearer {bearer(ATTACKER)}"),)
Transfer = Callable[[pb_grpc.WecomApiServiceStub, Counter[str]], Any]


def _first(**fields: Any) -> pb.UploadMediaRequest:
    return pb.UploadMediaRequest(target=target(), type="file", file_name="a.bin", **fields)


async def upload(said: list[bytes], stub: pb_grpc.WecomApiServiceStub, done: Counter[str]) -> None:
    """Begin a file, and send a byte a second of it after that."""

    async def pieces() -> AsyncIterator[pb.UploadMediaRequest]:
        yield _first()
        for piece in said:
            yield pb.UploadMediaRequest(chunk=piece)
        while True:
            await asyncio.sleep(1)
            yield pb.UploadMediaRequest(chunk=b"x")

    done["uploads"] += 1
    await stub.UploadMedia(pieces(), metadata=CREDENTIALS)


async def say_nothing(stub: pb_grpc.WecomApiServiceStub, done: Counter[str]) -> None:
    """Begin an upload without its first message."""

    async def pieces() -> AsyncIterator[pb.UploadMediaRequest]:
        await asyncio.Event().wait()
        yield _first()

    done["uploads"] += 1
    await stub.UploadMedia(pieces(), metadata=CREDENTIALS)


async def leave_unread(stub: pb_grpc.WecomApiServiceStub, done: Counter[str]) -> None:
    """Upload a file, ask for it, and read its beginning alone."""

    async def pieces() -> AsyncIterator[pb.UploadMediaRequest]:
        yield _first(chunk=b"x" * PIECE)
        for _ in range(LARGE // PIECE - 1):
            yield pb.UploadMediaRequest(chunk=b"x" * PIECE)

    if not done["media"]:
        done["media"] = 1
        known = await stub.UploadMedia(pieces(), metadata=CREDENTIALS)
        MEDIA.set_result(known.media_id)
    request = pb.DownloadMediaRequest(target=target(), media_id=await asyncio.shield(MEDIA))
    done["downloads"] += 1
    call = stub.DownloadMedia(request, metadata=CREDENTIALS)
    await call.read()
    await asyncio.Event().wait()


async def dawdle(transfer: Transfer, at_once: int, place: Place, done: Counter[str]) -> None:
    """Keep so many transfers open."""
    global MEDIA  # noqa: PLW0603 - of this process, which does nothing else
    MEDIA = asyncio.get_running_loop().create_future()

    clock = asyncio.get_running_loop().time
    began = clock()

    async def one(stub: pb_grpc.WecomApiServiceStub) -> None:
        while True:
            with suppress(grpc.aio.AioRpcError):
                await transfer(stub, done)
            done["refused"] += 1
            # Not when a slice ends: whoever asks then may get the place of one that has just left.
            await asyncio.sleep(AGAIN_SECONDS - (clock() - began) % AGAIN_SECONDS)

    options = [("grpc.http2.bdp_probe", 0)]
    async with (
        grpc.aio.insecure_channel(place.address, options=options) as channel,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(at_once):
            tasks.create_task(one(pb_grpc.WecomApiServiceStub(channel)))


ATTACKS = {
    "64 dawdling uploads": partial(dawdle, partial(upload, []), AT_ONCE),
    "300 uploads that dawdle after half a file": partial(dawdle, partial(upload, [b"x" * PIECE] * 8), 300),
    "64 uploads that say nothing": partial(dawdle, say_nothing, AT_ONCE),
    "64 unread downloads": partial(dawdle, leave_unread, AT_ONCE),
}


@pytest.mark.slow
@pytest.mark.parametrize("attack", tried(ATTACKS))
def test_dawdling_transfers_take_nobodys_place(ground: Ground, figures: Figures, attack: str) -> None:
    verdict = trial(ground, ATTACKS[attack])

    figures(attack=attack, **verdict.figures())
    assert verdict.done["uploads"] or verdict.done["downloads"]
    # One caller gets half of the 64 places, for each of which WeCom is asked once; refused ones cost nothing.
    most = SLICES * (AT_ONCE // 2 + 1)
    verdict.check({UPLOAD: most, DOWNLOAD: most})
