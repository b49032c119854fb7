from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from wecom_broker import Broker, sync

from tests.client.fake_broker import FakeBroker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine


class HandClock:
    """Unix time, which moves on when a test says so."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
async def fake() -> AsyncIterator[FakeBroker]:
    """A running fake broker."""
    async with FakeBroker() as fake:
        yield fake


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=[None, "a-bearer-token"], ids=["bare", "bearer"])
async def broker(fake: FakeBroker, clock: HandClock, request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """A client of the fake broker, without and with a bearer token: gRPC makes the calls otherwise."""
    async with Broker(fake.address, token=request.param, clock=clock) as broker:
        yield broker


class InThreads:
    """The client for threads, called from threads: its methods can be awaited as the other's."""

    def __init__(self, client: sync.Broker) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: asyncio.to_thread(method, *args, **kwargs)


@pytest.fixture(params=["asyncio", "asyncio with a bearer token", "threads"])
async def either(fake: FakeBroker, request: pytest.FixtureRequest) -> AsyncIterator[Broker | InThreads]:
    """Either client of the fake broker: what is said of one holds for the other."""
    if request.param == "threads":
        client = sync.Broker(fake.address)
        yield InThreads(client)
        await asyncio.to_thread(client.close)
    else:
        token = "a-bearer-token" if "bearer" in request.param else None
        async with Broker(fake.address, token=token) as broker:
            yield broker
