"""A transfer ends after a while, whoever makes it slow."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from wecom_broker.v1 import wecom_api_service_pb2 as pb

from broker.domain.access import Action
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import CallerLimited
from broker.server.grpc import guard
from broker.server.grpc.entry import wall_clock
from broker.server.grpc.entry.rights import requires
from broker.server.grpc.entry.wall_clock import TRANSFERS, ended_after
from tests.unit.server.entry.guarding import guard_of
from tests.unit.server.fakes import Context

MOMENT = timedelta(milliseconds=20)


async def test_what_takes_longer_is_ended_and_told_so() -> None:
    with pytest.raises(CallerLimited, match="longer than") as ended:
        async with ended_after(MOMENT):
            await asyncio.Event().wait()

    assert ended.value.retry_after
    assert ended.value.metadata["limit"] == "transfer"


async def test_a_timeout_of_something_else_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with ended_after(timedelta(minutes=1)):
            raise TimeoutError


async def test_without_a_bound_nothing_ends() -> None:
    async with ended_after(None):
        await asyncio.sleep(0)


def test_files_are_bounded_a_little_above_what_wecom_gets() -> None:
    assert TRANSFERS == dict.fromkeys(("UploadMedia", "DownloadMedia"), wall_clock.LONGEST_TRANSFER)
    assert timedelta(minutes=5) < wall_clock.LONGEST_TRANSFER < timedelta(minutes=6)


@pytest.mark.slow
async def test_a_download_that_nobody_reads_ends_though_it_waits_in_the_guard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(guard.TRANSFERS, "DownloadMedia", MOMENT)
    closed = asyncio.Event()

    @requires(Action.API_CALL)
    async def download(_request: object, _context: object) -> AsyncGenerator[Any, None]:
        try:
            while True:
                yield pb.DownloadMediaResponse(chunk=b"x")
        finally:
            closed.set()

    class Unread(Context):
        async def write(self, message: object) -> None:
            await asyncio.Event().wait()

    method = grpc.unary_stream_rpc_method_handler(download)
    call = guard_of(CallerPolicy()).guard("/wecom_broker.v1.WecomApiService/DownloadMedia", method)
    context = Unread()
    with pytest.raises(grpc.aio.AbortError):
        await call.unary_stream(pb.DownloadMediaRequest(), context)

    assert closed.is_set()
    assert context.rich.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
