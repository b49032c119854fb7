"""An upload that is refused while its pieces are on the way: the client learns why."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from wecom_broker import Broker, errors

from broker.simulator.demo import demo_world
from tests.kit.broker_here import broker_here

UPLOADS = 300


@pytest.mark.parametrize("pieces", [1, 40])
async def test_a_refused_upload_tells_the_reason(tmp_path: Path, pieces: int) -> None:
    """gRPC's client tells INTERNAL if the call ends while it writes."""
    told: Counter[str] = Counter()

    async def upload(broker: Broker) -> None:
        content = (b"x" * 1024 for _ in range(pieces))
        try:
            await broker.upload_media("unknown", "file", "report.txt", content)
        except errors.BrokerError as error:
            told[error.reason] += 1

    async with broker_here(tmp_path, demo_world()) as here, Broker(here.address) as broker:
        await upload(broker)
        for _ in range(UPLOADS // 30):
            await asyncio.gather(*(upload(broker) for _ in range(30)))

    assert {"UNKNOWN_APP": 1 + UPLOADS} == told
