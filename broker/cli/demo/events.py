"""The last part of `demo`: WeCom calls back, and subscribers get the events."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import click
from wecom_broker import AppShareChange, Broker, Event, ShareChangeType
from wecom_broker.errors import NotFound

from broker.cli.demo.playground import APP, Playground
from broker.cli.demo.steps import expect, say
from broker.cli.remote.connection import masked
from broker.simulator.callbacks.sender import send_event
from broker.simulator.demo import PARENT
from broker.simulator.world.corps import AppId

NEWCOMER = AppId("ww1newcomer0000001", 1000099)
GROUP = "demo"
PATIENCE_SECONDS = 10.0


async def walk(running: Playground, broker: Broker) -> None:
    """Share the app with a child and take it back; receive both events, and a member's message."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        aclosing(broker.watch_app_shares(APP)) as changes,
        aclosing(broker.events(group=GROUP, apps=[APP])) as events,
    ):
        await _snapshot(changes)
        say(f"10. WeCom shares the app with {NEWCOMER.corpid}, and calls {APP}'s callback URL")
        running.world.share(PARENT, NEWCOMER, corp_name="新公司")
        change = await _next_change(changes, ShareChangeType.ADDED)
        await _next_event(events, "share_agent_change")
        token = await broker.access_token(APP, corp=change.shares[0].corp_id)
        click.echo(f"   its token works at once: agent {token.agent_id}  token {masked(token.value)}")

        say(f"11. A member of {NEWCOMER.corpid} writes to the app; the service of group {GROUP!r} reads it")
        await send_event(running.world, "text", NEWCOMER.corpid, "zhaoliu", text="你好")
        written = await _next_event(events, "text")
        click.echo(f"   {written.user_id} of {written.corp_id} writes: {written.fields['Content']}")
        expect(written.corp_id == NEWCOMER.corpid, "the event is known to be the child's")

        say("12. WeCom takes the share back")
        # Two share events within one second cannot be told apart, and count as one.
        await asyncio.sleep(1)
        began = time.monotonic()
        running.world.unshare(PARENT, NEWCOMER)
        await _next_change(changes, ShareChangeType.REMOVED)
        refused = await _refused(broker)
        click.echo(f"   its token is refused {time.monotonic() - began:.1f} s later: {refused}")
        await _next_event(events, "share_agent_change")


async def _snapshot(changes: AsyncIterator[AppShareChange]) -> None:
    async for change in changes:
        if change.snapshot_complete:
            return


async def _next_change(changes: AsyncIterator[AppShareChange], kind: ShareChangeType) -> AppShareChange:
    """Return the next change, which must be of that kind."""
    change = await anext(changes)
    found = ", ".join(share.corp_id for share in change.shares)
    click.echo(f"   watchers of the shares are told: {change.change_type} {found}")
    expect(change.change_type == kind, f"a share is {kind}")
    return change


async def _next_event(events: AsyncIterator[Event], event_type: str) -> Event:
    """Return the next event, which must be of that type."""
    event = await anext(events)
    click.echo(f"   group {GROUP!r} gets {event.event_type} of {event.corp_id} ({event.event_id})")
    expect(event.event_type == event_type, f"the event is {event_type}")
    return event


async def _refused(broker: Broker) -> str:
    """Ask for the token until the broker refuses it; return the reason."""
    while True:
        try:
            await broker.access_token(APP, corp=NEWCOMER.corpid)
        except NotFound as error:
            return error.reason
        await asyncio.sleep(0.05)
