"""Callers that keep calling while something happens to the servers."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import grpc.aio
from wecom_broker.v1 import token_service_pb2 as pb

from tests.kit.processes.fleet import Refusal, Replica, refusal


@dataclass
class Load:
    """The results of the callers."""

    calls: int = 0
    seconds: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    """How much longer each took than a concurrent call that waits for nothing; a busy machine delays both."""
    refusals: list[tuple[float, Refusal]] = field(default_factory=list)
    values: set[str] = field(default_factory=set)
    expired: list[pb.AccessToken] = field(default_factory=list)
    """Tokens that had expired when they were asked for."""

    @property
    def longest(self) -> float:
        """Return how long the slowest answered call took."""
        return max(self.seconds)

    @property
    def longest_wait(self) -> float:
        """Return the longest wait of an answered call, without delays from a busy machine."""
        return max(self.waited)

    def quantile(self, share: float) -> float:
        """Return the longest time that this share of the calls took."""
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


@asynccontextmanager
async def steady_load(
    replicas: Sequence[Replica], corp_ids: Sequence[str], *, callers: int = 8, pause: float = 0.05
) -> AsyncIterator[Load]:
    """Request the tokens of the corps from all replicas in turn, inside the block; collect errors."""
    load = Load()
    over = asyncio.Event()

    async def call(turn: int) -> None:
        while not over.is_set():
            turn += 1
            replica = replicas[turn % len(replicas)]
            beside = asyncio.create_task(seconds_of_idle_call(replica))
            asked_at, began = time.time_ns(), time.monotonic()
            try:
                token = await replica.token(corp_ids[turn % len(corp_ids)])
            except grpc.aio.AioRpcError as error:
                load.refusals.append((time.time(), refusal(error)))
            else:
                took = time.monotonic() - began
                load.seconds.append(took)
                load.waited.append(took - await beside)
                load.values.add(token.value)
                # On a busy machine an answer may arrive long after it was sent.
                if token.expire_time.ToNanoseconds() <= asked_at:
                    load.expired.append(token)
            finally:
                await beside
            load.calls += 1
            await asyncio.sleep(pause)

    tasks = [asyncio.create_task(call(turn * 7)) for turn in range(callers)]
    try:
        yield load
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def seconds_of_idle_call(replica: Replica) -> float:
    """Return how long a call that waits for nothing takes."""
    began = time.monotonic()
    with suppress(grpc.aio.AioRpcError):
        await replica.serving()
    return time.monotonic() - began
