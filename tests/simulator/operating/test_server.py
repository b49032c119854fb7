"""Serving for a command line: until cancelled."""

import asyncio

import aiohttp
import pytest

from broker.simulator import add_children, demo_world, serve
from tests.simulator.caller import Caller


async def test_serve_announces_its_url_and_ends_when_cancelled() -> None:
    announced: asyncio.Queue[str] = asyncio.Queue()
    serving = asyncio.create_task(serve(demo_world(), "127.0.0.1", 0, announced.put_nowait))
    url = await announced.get()
    async with aiohttp.ClientSession(url) as session:
        assert 0 == (await Caller(session).gettoken())["errcode"]
    serving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_more_children_can_be_added_to_the_demo() -> None:
    world = demo_world()
    add_children(world, 20)

    assert 26 == len(list(world.shares))
