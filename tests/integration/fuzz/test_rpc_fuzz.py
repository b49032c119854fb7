"""Random and mutated requests to every rpc: no INTERNAL, no traceback, no hang, no memory kept."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from broker.simulator.demo import PARENT
from tests.integration.conftest import Figures
from tests.integration.fuzz.messages import Fuzzer, Rpc, rpcs
from tests.integration.fuzz.target import ANSWERED_WITHIN_SECONDS, SEED, target
from tests.integration.suites.three_kinds import ACME, CRM, MARKET, TAILORED

AT_ONCE = 32
CORPS = (PARENT.corpid, "ww1child000000001", "wp0nobody", "")
KNOWN = {
    "app": (CRM, CRM, CRM, MARKET, TAILORED, ACME),
    "apps": (CRM, MARKET),
    "corp_id": CORPS,
    "parent_corp_id": CORPS,
    "url": ("https://crm.example.com/page",),
    "redirect_uri": ("https://crm.example.com/back",),
    "path": ("/cgi-bin/user/get", "/cgi-bin/department/list", "/cgi-bin/gettoken", "/cgi-bin/media/upload"),
    "group": ("crm-svc",),
    "type": ("file", "image"),
    "page_token": ("",),
    "timestamp": ("1790000000",),
    "event_types": ("sys_approval_change", "change_contact"),
}
"""Texts by which the broker gets beyond its checks."""
STREAMED_SECONDS = 0.2
"""How long a stream is read that has nothing to say."""


@pytest.mark.slow
async def test_no_request_makes_the_broker_stumble(tmp_path: Path, figures: Figures) -> None:
    fuzzer, methods = Fuzzer(SEED, KNOWN), rpcs()
    codes: Counter[str] = Counter()
    internal: list[str] = []

    async def work(channel: grpc.aio.Channel, numbers: Iterator[int]) -> None:
        for number in numbers:
            rpc = methods[number % len(methods)]
            messages = [fuzzer.request(rpc) for _ in range(3 if rpc.sends_many else 1)]
            code, details = await _sent(channel, rpc, messages)
            codes[code.name] += 1
            if code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
                internal.append(f"{rpc.name}: {details} {messages[0][:200]!r}")

    async def send(count: int) -> None:
        numbers = iter(range(count))
        async with grpc.aio.insecure_channel(running.process.address) as channel:
            await asyncio.gather(*(work(channel, numbers) for _ in range(AT_ONCE)))

    async with target(tmp_path) as running:
        megabytes = await running.endures(send)
    assert [] == internal, f"seed {SEED}"
    figures(
        requests=sum(codes.values()),
        rpcs=len(methods),
        megabytes=megabytes,
        **codes,
    )


async def _sent(channel: grpc.aio.Channel, rpc: Rpc, messages: list[bytes]) -> tuple[grpc.StatusCode, str]:
    """Send it, and return how it ended; a stream is left after a while."""
    try:
        async with asyncio.timeout(ANSWERED_WITHIN_SECONDS):
            if rpc.answers_many:
                return await _streamed(channel, rpc, messages[0])
            if rpc.sends_many:
                await channel.stream_unary(rpc.name)(iter(messages))
            else:
                await channel.unary_unary(rpc.name)(messages[0])
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    except TimeoutError:
        return grpc.StatusCode.UNKNOWN, f"no answer within {ANSWERED_WITHIN_SECONDS} s"
    return grpc.StatusCode.OK, ""


async def _streamed(channel: grpc.aio.Channel, rpc: Rpc, message: bytes) -> tuple[grpc.StatusCode, str]:
    call = channel.unary_stream(rpc.name)(message, timeout=STREAMED_SECONDS)
    async for _ in call:
        pass
    return await call.code(), await call.details() or ""
