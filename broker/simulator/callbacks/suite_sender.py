"""Sends events to suites and providers at once, and verifies their URLs."""

from typing import Unpack

from broker.simulator.callbacks.client import CallbackClient, Verification
from broker.simulator.world import World
from broker.simulator.world.console.addresses import Channel
from broker.simulator.world.console.suite_events import Details
from broker.simulator.world.events.callback import Callback
from broker.simulator.world.events.delivery import Delivery
from broker.simulator.world.events.event import Event
from broker.simulator.world.events.kinds import EventKind


async def send_suite_event(
    world: World,
    suite: str,
    kind: EventKind | str,
    corp: str = "",
    *,
    parent: str = "",
    **details: Unpack[Details],
) -> Delivery:
    """Send an event of a suite, and return the outcome; see `Console.event`.

    Raises LookupError where the suite has no URL for it.
    """
    event = world.console.event(suite, kind, corp, parent=parent, **details)
    return await _delivered(world, world.console.callback(suite, kind, parent or corp), event)


async def send_system_event(
    world: World, provider: str, kind: EventKind | str, corp: str = "", **details: Unpack[Details]
) -> Delivery:
    """Send a system event of a provider, and return the outcome. Raises LookupError without a URL."""
    event = world.console.system_event(provider, kind, corp, **details)
    return await _delivered(world, world.console.addresses.system(event.app.corpid), event)


async def verify_suite_url(
    world: World, suite: str, channel: Channel | str, corp: str = "", receive_id: str = ""
) -> Verification:
    """Verify a URL of a suite as when it is saved: sealed for the provider unless the test says otherwise.

    Raises LookupError.
    """
    known, corpid = world.suites.get(suite), world.corps.get(corp).corpid if corp else ""
    shown = world.suites.corpid(suite, corp) if corp else ""
    callback = world.console.addresses.find(known, Channel(channel), corpid, shown)
    return await _verified(world, callback, receive_id or known.provider_id)


async def verify_system_url(world: World, provider: str, receive_id: str = "") -> Verification:
    """Verify the URL of a provider for system events. Raises LookupError."""
    corp_id = world.suites.provider(provider).corp_id
    return await _verified(world, world.console.addresses.system(corp_id), receive_id or corp_id)


async def _delivered(world: World, callback: Callback | None, event: Event) -> Delivery:
    found = _found(callback)
    async with CallbackClient.open(world.now, world.randomness.randbytes, world.sleep) as client:
        return await client.deliver(found, world.callbacks.outbox.enter(event))


async def _verified(world: World, callback: Callback | None, receive_id: str) -> Verification:
    found = _found(callback)
    async with CallbackClient.open(world.now, world.randomness.randbytes, world.sleep) as client:
        return await client.verify_url(found, receive_id)


def _found(callback: Callback | None) -> Callback:
    if callback is None:
        raise LookupError("no URL is configured for this")
    return callback
