from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from wecom_broker import Broker

from tests.client.fake_broker import FakeBroker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


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
