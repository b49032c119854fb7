"""F6: floods of calls, of resets and of large requests, by one caller or by a stranger.

What comes at once is answered in turn: the first second of a flood is shown, and judged by failures alone.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import grpc
import pytest
from wecom_broker.v1 import token_service_pb2 as token_pb

from tests.integration.attacks import http2
from tests.integration.attacks.bare import running_bare
from tests.integration.attacks.ground import STRICT, Ground
from tests.integration.attacks.place import ATTACKER, Place, bearer
from tests.integration.attacks.trial import TIMES, trial, tried
from tests.integration.conftest import Figures
from tests.kit.processes.fleet import target

RPC = "/wecom_broker.v1.TokenService/GetAccessToken"
SLEEP = 0.02
MEGABYTES = 500
"""By how much the broker's memory may grow."""


async def reset(connections: int, at_once: int, place: Place, done: Counter[str]) -> None:
    """Begin calls without credentials, and reset each at once, on some connections."""
    block = http2.request(RPC)

    async def one() -> None:
        reader, writer = await http2.connect(place.address)
        reading = asyncio.ensure_future(http2.swallow(reader, writer))
        try:
            numbers = http2.streams()
            while not reading.done():
                frames = []
                for number, _ in zip(numbers, range(at_once), strict=False):
                    frames.append(http2.frame(http2.HEADERS, http2.END_HEADERS, number, block))
                    frames.append(http2.frame(http2.RST_STREAM, 0, number, http2.CANCEL.to_bytes(4, "big")))
                writer.write(b"".join(frames))
                await writer.drain()
                done["resets"] += at_once
                await asyncio.sleep(SLEEP)
        finally:
            reading.cancel()
            with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
                await reading
            writer.close()

    async def again() -> None:
        while True:
            with suppress(OSError):
                await one()
            done["connections"] += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(again())


async def call(
    at_once: int, connections: int, caller: str, size: int, place: Place, done: Counter[str]
) -> None:
    """Keep so many calls open, on some connections."""
    metadata = (("authorization", f"Bearer {bearer(caller)}"),) if caller else ()
    body = token_pb.GetAccessTokenRequest(target=target()).SerializeToString()
    if size:
        body = b"\x0a" + b"\xff\xff\xff\x7f" + b"x" * size

    async def one(ask: grpc.aio.UnaryUnaryMultiCallable) -> None:
        while True:
            done["sent"] += 1
            try:
                await ask(body, metadata=metadata, timeout=60)
                done["OK"] += 1
            except grpc.aio.AioRpcError as error:
                done[error.code().name] += 1

    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    channels = [grpc.aio.insecure_channel(place.address, options=options) for _ in range(connections)]
    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(at_once):
                tasks.create_task(one(channels[number % connections].unary_unary(RPC)))
    finally:
        for channel in channels:
            await channel.close()


ATTACKS = {
    "rapid resets": partial(reset, 1, 100),
    "rapid resets on many connections": partial(reset, 20, 5),
    "3,000 calls of one caller": partial(call, 3000, 1, ATTACKER, 0),
    "3,000 calls of one caller on many connections": partial(call, 3000, 50, ATTACKER, 0),
    "3,000 calls without credentials": partial(call, 3000, 10, "", 0),
    "large requests without credentials": partial(call, 100, 4, "", 4_000_000),
    "large requests of one caller": partial(call, 100, 4, ATTACKER, 1_000_000),
    "too large requests of one caller": partial(call, 100, 4, ATTACKER, 4_000_000),
}

BORNE_BY_GRPC = ("rapid resets", "rapid resets on many connections")
"""What costs a server of grpc.aio as much that does nothing at all (docs/decisions/0012)."""
NOISE = 1.3


@pytest.mark.slow
@pytest.mark.parametrize(
    "attack",
    tried(ATTACKS, "rapid resets", "3,000 calls of one caller", "large requests without credentials"),
)
def test_no_flood_delays_others(ground: Ground, figures: Figures, tmp_path: Path, attack: str) -> None:
    verdict = trial(ground, ATTACKS[attack])
    bare = 0.0
    if STRICT and attack in BORNE_BY_GRPC and verdict.times > TIMES:
        with running_bare(ground, tmp_path / "bare") as server:
            bare = trial(server, ATTACKS[attack]).times

    figures(attack=attack, **verdict.figures(), times_of_a_bare_server=bare)
    assert verdict.done
    verdict.check(times=max(TIMES, NOISE * bare))
    assert verdict.megabytes <= MEGABYTES
