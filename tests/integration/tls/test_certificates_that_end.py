"""A client certificate that ends while its connection goes on: the next call is refused, streams are cut."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import grpc.aio
import pytest
from wecom_broker.v1 import token_service_pb2 as pb

from tests.integration.access.doors import BY_SPIFFE, ORDERS, UNKNOWN, Door, door, said
from tests.kit.processes.fleet import Refusal, Replica, child, refused, target

LASTS = (4, 8, 16, 32)
"""Seconds, from the shortest: on a busy machine a certificate may have ended before it was used."""
CUT_WITHIN_SECONDS = 5.0

pytestmark = pytest.mark.slow


async def refused_after(line: Replica, seconds: int) -> tuple[Refusal, Refusal]:
    """Return how the stream ends, and the next call. Raises `AioRpcError` if it came too late."""
    watch = line.tokens.WatchAccessToken(pb.WatchAccessTokenRequest(target=target(child(1))))
    assert (await watch.read()).token.value
    assert (await line.token(child(1))).value
    async with asyncio.timeout(seconds + CUT_WITHIN_SECONDS):
        cut = await refused(watch.read())
    return cut, await refused(line.token(child(1)))


async def test_its_streams_are_cut_and_its_next_call_is_refused(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_SPIFFE]) as tls:
        for seconds in LASTS:
            with suppress(grpc.aio.AioRpcError):
                pair = tls.authority.sign(uri=ORDERS, lasts=timedelta(seconds=seconds))
                async with Door(tls.address, tls.authority).enter(pair) as line:
                    cut, next_call = await refused_after(line, seconds)
                break
        else:
            pytest.fail("no certificate lasted until it was used")

    assert (UNKNOWN, UNKNOWN) == (said(cut), said(next_call))
    assert "the client certificate expired at" in cut.message
