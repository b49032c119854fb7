"""Callers that keep asking while something happens to the servers."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc.aio
from wecom_broker.v1 import token_service_pb2 as pb

from tests.kit.processes.fleet import Refusal, Replica, refusal


@dataclass
class Load:
    """What the callers saw."""

    calls: int = 0
    seconds: list[float] = field(default_factory=list)
    refusals: list[tuple[float, Refusal]] = field(default_factory=list)
    values: set[str] = field(default_factory=set)
    expired: list[pb.AccessToken] = field(default_factory=list)

    @property
    def longest(self) -> float:
        """Return how long the slowest answered call took."""
        return max(self.seconds)

    def quantile(self, share: float) -> float:
        """Return how long that share of the calls took at most."""
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


@asynccontextmanager
async def steady_load(
    replicas: Sequence[Replica], corp_ids: Sequence[str], *, callers: int = 8, pause: float = 0.05
) -> AsyncIterator[Load]:
    """Ask for the tokens of the corps, going round the replicas, until left; errors are collected."""
    load = Load()
    over = asyncio.Event()

    async def call(turn: int) -> None:
        while not over.is_set():
            turn += 1
            began = time.monotonic()
            try:
                token = await replicas[turn % len(replicas)].token(corp_ids[turn % len(corp_ids)])
            except grpc.aio.AioRpcError as error:
                load.refusals.append((time.time(), refusal(error)))
            else:
                load.seconds.append(time.monotonic() - began)
                load.values.add(token.value)
                if token.expire_time.ToNanoseconds() <= time.time_ns():
                    load.expired.append(token)
            load.calls += 1
            await asyncio.sleep(pause)

    tasks = [asyncio.create_task(call(turn * 7)) for turn in range(callers)]
    try:
        yield load
    finally:
        over.set()
        await asyncio.gather(*tasks)
