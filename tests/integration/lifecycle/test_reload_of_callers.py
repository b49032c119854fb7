"""A reload of 1,000 callers under load: no call fails, new rules hold within a second, streams are cut."""

import asyncio
import hashlib
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import grpc
import grpc.aio
import pytest
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1.token_service_pb2_grpc import TokenServiceStub

from tests.integration.conftest import Figures
from tests.integration.lifecycle.reloading import Reloading
from tests.kit.machine import busy
from tests.kit.processes.fleet import APP, refused, target, until
from tests.kit.time_bounds import check_took

pytestmark = pytest.mark.slow

WITHIN_SECONDS = 1.0
CALLERS = 1_000
LOSING, KEEPING = range(20), range(20, 40)
"""Who has a stream open, and loses the right to it or keeps it."""
CALLING = range(100, CALLERS)
ADDED = CALLERS
AT_ONCE = 8


def caller(number: int, *, allowed: bool = True) -> dict[str, Any]:
    rule = {"apps": [APP], "actions": ["token.get" if allowed else "jssdk.sign"]}
    digest = hashlib.sha256(_token(number).encode()).hexdigest()
    return {"name": f"c{number}", "token_sha256": digest, "allow": [rule]}


def _token(number: int) -> str:
    return f"token-{number}"


class Line:
    """A connection that all callers share, as behind a proxy."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._tokens = TokenServiceStub(channel)
        self.failed: list[grpc.aio.AioRpcError] = []
        self.made = 0

    async def token(self, number: int) -> str:
        request = pb.GetAccessTokenRequest(target=target())
        answer = await self._tokens.GetAccessToken(request, metadata=self._bearer(number), timeout=20)
        return answer.token.value

    async def watch(self, number: int) -> Any:
        """Return a stream that has delivered its token."""
        request = pb.WatchAccessTokenRequest(target=target())
        stream = self._tokens.WatchAccessToken(request, metadata=self._bearer(number))
        assert (await stream.read()).token.value
        return stream

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Have callers call, one after the other, until the block ends."""
        over, turns = asyncio.Event(), count()

        async def call() -> None:
            while not over.is_set():
                try:
                    await self.token(CALLING[next(turns) % len(CALLING)])
                except grpc.aio.AioRpcError as error:
                    self.failed.append(error)
                self.made += 1
                await asyncio.sleep(0.005)

        calling = [asyncio.create_task(call()) for _ in range(AT_ONCE)]
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(*calling)

    async def is_let_in(self, number: int) -> bool:
        try:
            return bool(await self.token(number))
        except grpc.aio.AioRpcError:
            return False

    def _bearer(self, number: int) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {_token(number)}"),)


async def reasons(streams: Sequence[Any]) -> set[str]:
    return {error.reason for error in await asyncio.gather(*(refused(each.read()) for each in streams))}


async def test_a_reload_of_a_thousand_callers_under_load_fails_no_call(
    here: Reloading, figures: Figures
) -> None:
    everybody = [caller(number) for number in range(CALLERS)]
    later = [caller(number, allowed=number not in LOSING) for number in range(CALLERS)] + [caller(ADDED)]
    await here.reload(here.config(callers=everybody))
    async with AsyncExitStack() as stack:
        line = Line(await stack.enter_async_context(grpc.aio.insecure_channel(here.broker.address)))
        losing = await asyncio.gather(*map(line.watch, LOSING))
        keeping = await asyncio.gather(*map(line.watch, KEEPING))
        assert not await line.is_let_in(ADDED)
        await stack.enter_async_context(line.load())
        await until(lambda: line.made > 200)
        text = here.broker.text_of(here.config(callers=later))
        async with busy() as machine:
            began = time.monotonic()
            here.broker.write(text)
            here.broker.send(signal.SIGHUP)
            cut = await reasons(losing)
            cut_after = time.monotonic() - began - machine.seconds
            await until(lambda: line.is_let_in(ADDED), pause=0.005)
            assert not await line.is_let_in(LOSING[0])
            in_force_after = time.monotonic() - began - machine.seconds
        # The file that changed causes a reload of its own after the one by signal: both are under load.
        before = line.made
        await until(lambda: here.count("applied") >= 3 and line.made > before + 1_000)
        assert not any(stream.done() for stream in keeping), "who keeps the right keeps the stream"
    assert {"CALLER_NOT_ALLOWED"} == cut
    assert [] == line.failed
    figures(callers=CALLERS, calls=line.made, failed=0, cut_after=cut_after, in_force_after=in_force_after)
    check_took(max(cut_after, in_force_after), WITHIN_SECONDS)
