"""Sends the events of a world to the callbacks of its apps."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from typing import Unpack

from broker.simulator.callbacks.client import CallbackClient, Verification
from broker.simulator.world import World
from broker.simulator.world.corps import AppId
from broker.simulator.world.events.callback import Format
from broker.simulator.world.events.callbacks import Details
from broker.simulator.world.events.delivery import Delivery
from broker.simulator.world.events.kinds import EventKind


async def send_event(
    world: World,
    kind: EventKind | str,
    corpid: str = "",
    userid: str = "",
    app: AppId | None = None,
    *,
    count: int = 1,
    body_format: Format | None = None,
    **details: Unpack[Details],
) -> list[Delivery]:
    """Send `count` events of a kind, one after the other, and return the outcomes; see `Callbacks.event`.

    Raises LookupError where the app has no callback, ValueError where its callback gets no such kind.
    """
    callback = world.callbacks.of(app)
    callback.check(EventKind(kind))
    callback = replace(callback, body_format=body_format or callback.body_format)
    details = {"suite_id": callback.suite(), **details}

    def entered() -> Delivery:
        return world.callbacks.outbox.enter(world.callbacks.event(kind, corpid, userid, app, **details))

    async with _client(world) as client:
        return [await client.deliver(callback, entered()) for _ in range(count)]


async def verify_url(world: World, app: AppId | None = None, receive_id: str = "") -> Verification:
    """Verify the URL as when it is saved; `receive_id` defaults to the app's own corp, a robot's to none.

    Raises LookupError.
    """
    app = app or world.corps.main_app
    callback = world.callbacks.of(app)
    usual = "" if callback.robot else app.corpid
    async with _client(world) as client:
        return await client.verify_url(callback, receive_id or usual)


@asynccontextmanager
async def sending(world: World) -> AsyncIterator[None]:
    """Send the events that the world emits by itself, for the length of the block."""
    async with _client(world) as client, world.callbacks.outbox.emptied(client.deliver):
        yield


@asynccontextmanager
async def pushing_tickets(world: World) -> AsyncIterator[None]:
    """Push suite_tickets by the console's intervals, for the length of the block."""
    pushes = asyncio.create_task(world.console.tickets.run(world.sleep))
    try:
        yield
    finally:
        pushes.cancel()
        with suppress(asyncio.CancelledError):
            await pushes


def _client(world: World) -> AbstractAsyncContextManager[CallbackClient]:
    return CallbackClient.open(world.now, world.randomness.randbytes, world.sleep)
