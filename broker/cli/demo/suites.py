"""The provider's part of `demo`: a corp group uses a third-party app, and the provider sees who does."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import click
from wecom_broker import Authorization, AuthorizationChange, AuthorizationState, Broker
from wecom_broker.errors import NotFound

from broker.cli.demo import acting
from broker.cli.demo.playground import APP, SUITE, Playground
from broker.cli.demo.steps import expect, say
from broker.cli.remote.connection import masked
from broker.simulator.provider_demo import INSTALLER, MEMBER, PARENT, children

BACK = "https://market.example.com/installed"
PAGE = "https://market.example.com/shifts?week=9"
SHARED_WITH = 2
PATIENCE_SECONDS = 10.0


async def walk(running: Playground, broker: Broker) -> None:
    """Install the suite in a parent corp, share it with two children, act as one, and cancel."""
    async with (
        asyncio.timeout(2 * PATIENCE_SECONDS),
        aclosing(broker.watch_authorizations(SUITE)) as changes,
    ):
        say(f"13. WeCom has pushed a suite_ticket to /callback/{SUITE}: the suite has a token of its own")
        token = await broker.access_token(SUITE)
        click.echo(f"   suite_access_token {masked(token.value)}  generation {token.generation}")

        parent = await _install(running, broker, changes)
        first, second = await _share(running, broker, changes, parent)
        await _act(running, broker, first)
        await _cancel(running, broker, changes, second)


async def _install(
    running: Playground, broker: Broker, changes: AsyncIterator[AuthorizationChange]
) -> Authorization:
    say("14. An administrator of the parent corp installs it by a link, and comes back with an auth_code")
    link = await broker.install_url(SUITE, BACK)
    click.echo(f"   {link.url[:100]}…")
    came_back = running.world.console.install_by_link(link.url, PARENT, INSTALLER)
    installed = await broker.complete_installation(SUITE, came_back.auth_code, state=link.state)
    expect(installed.state is AuthorizationState.ACTIVE, "the code becomes an authorisation")
    # WeCom's answer to the code names no agents: the broker asks for them afterwards.
    _show(await _told(changes, lambda each: each.corp_id == installed.corp_id and bool(each.agents)))
    sent = running.world.log.times_sent(came_back.auth_code)
    click.echo(f"   the auth_code was sent to WeCom {sent} ×; the permanent code stays in the broker")
    expect(sent == 1, "the auth_code is sent once")
    return installed


async def _share(
    running: Playground, broker: Broker, changes: AsyncIterator[AuthorizationChange], parent: Authorization
) -> list[Authorization]:
    """Return the authorisations of two children."""
    say("15. The parent shares it with two children: WeCom pushes create_auth for each")
    running.world.console.install_by_share(SUITE, PARENT, children(SHARED_WITH))
    found: dict[str, Authorization] = {}
    while len(found) < SHARED_WITH:
        told = await _told(changes, lambda each: bool(each.agents and each.agents[0].shared_from))
        found[told.corp_id] = told
    for child in found.values():
        _show(child)
        shared_from = child.agents[0].shared_from
        expect(
            shared_from is not None and shared_from.corp_id == parent.corp_id,
            "the child's authorisation names the parent",
        )
    listed = [share.corp_id async for share in broker.app_shares(SUITE, parent=parent.corp_id)]
    click.echo(f"   the parent's shares, listed with the parent's token: {', '.join(listed)}")
    expect(set(listed) == set(found), "the shares are the children that installed it")
    return sorted(found.values(), key=lambda child: child.corp_id)


async def _act(running: Playground, broker: Broker, child: Authorization) -> None:
    say(f"16. Token, page and login for {child.corp_id}: the same calls as for {APP}")
    token = await broker.access_token(SUITE, corp=child.corp_id)
    click.echo(f"   its token: agent {token.agent_id}  {masked(token.value)}")
    expect(token.corp_id == child.corp_id, "the token is the child's")
    signed = await broker.sign_page(SUITE, PAGE, corp=child.corp_id)
    for kind, signature in (("corp", signed.config), ("agent", signed.agent_config)):
        verdict = await acting.checked(running, kind, signature, signed.agent_config.agent_id, PAGE)
        click.echo(f"   WeCom's page says of the {kind} signature: {verdict}")
        expect("OK" in verdict, f"WeCom takes the {kind} signature")
    link = await broker.authorize_url(SUITE, "https://market.example.com/signed-in")
    click.echo(f"   {link.url[:100]}…")
    code = running.world.people.suite_login_code(SUITE, child.corp_id, MEMBER)
    user = await broker.user_from_code(SUITE, code)
    click.echo(f"   the code belongs to {user.user_id} of {user.corp_id}")
    expect(user.corp_id == child.corp_id, "the member is known as the child's")


async def _cancel(
    running: Playground, broker: Broker, changes: AsyncIterator[AuthorizationChange], child: Authorization
) -> None:
    say(f"17. {child.corp_id} cancels")
    began = time.monotonic()
    running.world.console.cancel(SUITE, child.corp_id)
    _show(await _told(changes, lambda each: each.state is AuthorizationState.CANCELLED))
    refused = ""
    try:
        await broker.access_token(SUITE, corp=child.corp_id)
    except NotFound as error:
        refused = error.reason
    click.echo(f"   its token is refused {time.monotonic() - began:.1f} s later: {refused}")
    expect(refused == "CORP_NOT_AUTHORIZED", "a corp that cancelled has no token")


async def _told(
    changes: AsyncIterator[AuthorizationChange], fits: Callable[[Authorization], bool]
) -> Authorization:
    """Return the next authorisation of that kind that watchers are told of."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for change in changes:
            for authorization in change.authorizations:
                if not change.snapshot and fits(authorization):
                    return authorization
    raise AssertionError("a watch ends only with an error")


def _show(found: Authorization) -> None:
    agent = found.agents[0].agent_id if found.agents else "-"
    click.echo(f"   {found.corp_id:34} {found.state}  agent {agent}  {found.corp_name}")
