"""`demo`: walk the whole chain against the simulator, and print what happened."""

import asyncio
from contextlib import aclosing

import aiohttp
import click
from wecom_broker import AccessToken, Broker, BrokerError

from broker.app.errors import CannotStart
from broker.cli.demo import acting, events, suites
from broker.cli.demo.playground import APP, Playground, playground
from broker.cli.demo.steps import DemoFailed, expect, say
from broker.cli.ending import fail, run_until_stopped
from broker.cli.remote.connection import masked
from broker.config.load import ConfigError
from broker.telemetry.logging import set_up_logging

WATCHED_LIFETIME = 8.0
"""A token's lifetime in the last step, in seconds: short, since the demo waits for its rotation."""

ASKED = (
    "gettoken",
    "corpgroup/corp/list_app_share_info",
    "corpgroup/corp/gettoken",
    "get_jsapi_ticket",
    "ticket/get",
    "auth/getuserinfo",
    "miniprogram/jscode2session",
    "miniprogram/transfer_session",
    "user/get",
    "service/get_suite_token",
    "service/get_pre_auth_code",
    "service/v2/get_permanent_code",
    "service/v2/get_auth_info",
    "service/get_corp_token",
    "service/auth/getuserinfo3rd",
)


@click.command()
def demo() -> None:
    """Walk the whole chain against a simulated WeCom; exit 0 only if every step did what it says."""
    set_up_logging("error", "console")
    try:
        run_until_stopped(_demo())
    except (BrokerError, CannotStart, ConfigError, DemoFailed) as error:
        fail(str(error))


async def _demo() -> None:
    async with playground() as running, Broker(running.address) as broker:
        say("A simulated WeCom and a broker on an embedded store are running in this process.")

        say("1. The parent corp's token")
        _show(await broker.access_token(APP))

        say("2. Which children is the app shared with?")
        shares = [share async for share in broker.app_shares(APP)]
        for share in shares:
            kind = share.share_kind.name.lower() if share.share_kind else ""
            click.echo(f"   {share.corp_id:24} agent {share.agent_id}  {kind:12}  {share.corp_name}")

        say("3. The tokens of two children; the caller gives app and corp id only")
        first, second = shares[0].corp_id, shares[1].corp_id
        token = await broker.access_token(APP, corp=first)
        _show(token)
        _show(await broker.access_token(APP, corp=second))

        say(f"4. WeCom kills the token of {first} early; a service finds out and reports it")
        running.world.kill(token.value)
        errcode = await _probe(running, token)
        click.echo(f"   WeCom says {errcode}")
        rotated = await broker.rejected(token, errcode)
        expect(rotated.generation > token.generation, "the report brings a new token")
        _show(rotated)
        click.echo(f"   WeCom says {await _probe(running, rotated)}")
        expect(await _probe(running, rotated) == 0, "WeCom takes the new token")

        say(f"5. Tokens now live {WATCHED_LIFETIME:.0f} seconds; watch {second} rotate before it expires")
        running.world.settings.token_lifetime = WATCHED_LIFETIME
        await _watch_rotation(running, broker, second)

        running.world.settings.token_lifetime = 7200
        await acting.walk(running, broker, first)
        await events.walk(running, broker)
        await suites.walk(running, broker)

        say("What the simulated WeCom was asked, for all of this:")
        for path in ASKED:
            click.echo(f"   {running.world.log.calls(f'/cgi-bin/{path}')} × {path}")


async def _watch_rotation(running: Playground, broker: Broker, corp: str) -> None:
    current = await broker.access_token(APP, corp=corp)
    running.world.kill(current.value)
    async with aclosing(broker.watch_access_token(APP, corp=corp)) as tokens:
        short_lived = await broker.rejected(current, 40014)
        async with asyncio.timeout(3 * WATCHED_LIFETIME):
            async for token in tokens:
                if token.generation < short_lived.generation:
                    continue
                _show(token)
                if token.generation > short_lived.generation:
                    expect(
                        await _probe(running, short_lived) == 0, "the old token still lives at the rotation"
                    )
                    return


async def _probe(running: Playground, token: AccessToken) -> int:
    """Use the token as a service would, and return WeCom's errcode."""
    query = {"access_token": token.value, "agentid": str(token.agent_id)}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{running.wecom_url}/cgi-bin/agent/get", params=query) as response,
    ):
        answer = await response.json()
    return int(answer.get("errcode", 0))


def _show(token: AccessToken) -> None:
    until = token.expire_time.strftime("%H:%M:%S")
    click.echo(
        f"   {token.corp_id:24} agent {token.agent_id}  token {masked(token.value)}"
        f"  generation {token.generation}  until {until} UTC"
    )
