"""Generators that are abandoned in the middle, and collected in the thread that drives the client."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from wecom_broker import sync
from wecom_broker.v1 import wecom_api_service_pb2 as api_pb2

from tests.client.fake_events import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.client.fake_broker import FakeBroker


@pytest.fixture
def by_hand() -> Iterator[None]:
    """Let the garbage collector run only where the test says so."""
    gc.disable()
    yield
    gc.enable()


async def abandon(client: sync.Broker, generator: Iterator[object]) -> object:
    """Return the first item, and leave the generator to a collection in the client's own thread."""
    first = await asyncio.to_thread(next, generator)
    cycle: list[object] = [generator]
    cycle.append(cycle)
    del generator, cycle
    client._background._loop.call_soon_threadsafe(gc.collect)
    return first


def pieces(client: sync.Broker) -> Iterator[bytes]:
    with client.download_media("crm", "media-1") as download:
        yield from download


def numbers(client: sync.Broker) -> Iterator[int]:
    with client.events("g") as events:
        for event in events:
            yield number(event)


# The client is closed only at the end: closing one whose thread waits for itself would never return.


@pytest.mark.usefixtures("by_hand")
async def test_an_abandoned_download_ends_and_the_client_lives_on(fake: FakeBroker):
    fake.pieces = [api_pb2.DownloadMediaResponse(chunk=b"first")]
    fake.endless = True
    client = sync.Broker(fake.address)

    assert b"first" == await abandon(client, pieces(client))
    await fake.until(lambda: fake.open_downloads == 0)
    assert 1 == (await asyncio.to_thread(client.access_token, "crm")).generation
    await asyncio.to_thread(client.close)


@pytest.mark.usefixtures("by_hand")
async def test_an_abandoned_subscription_ends_and_the_client_lives_on(fake: FakeBroker):
    fake.come(1)
    client = sync.Broker(fake.address)

    assert 1 == await abandon(client, numbers(client))
    await fake.until(lambda: fake.open_subscriptions == 0)
    assert 1 == (await asyncio.to_thread(client.access_token, "crm")).generation
    await asyncio.to_thread(client.close)
