"""`simulate`: WeCom on this machine, or one event of it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import BinaryIO

import click
from click.core import ParameterSource

from broker.cli.ending import fail, run_until_stopped
from broker.cli.options import AGENT_ID, PORT, seconds
from broker.cli.simulating.event import (
    KINDS,
    VERIFY_URL,
    SimulatedEvent,
    described,
    options_of,
    succeeded,
    verify,
)
from broker.server.http.server import system_reason
from broker.simulator.crypto import CallbackKeys
from broker.simulator.demo import CALLBACK_AES_KEY, CALLBACK_TOKEN, PARENT, SECRET, add_children, demo_world
from broker.simulator.server import serve
from broker.simulator.world.events.callback import Callback, Format
from broker.simulator.world.events.kinds import ChangeType, EventKind
from broker.simulator.world.tokens import Habit

_SERVING = {"host", "port", "children", "token_lifetime", "habit"}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=8081, show_default=True, help="0 chooses a free port.")
@click.option("--children", type=click.IntRange(0), default=0, show_default=True, help="Extra child corps.")
@click.option("--token-lifetime", type=seconds, default=7200, show_default=True, help="In seconds.")
@click.option(
    "--habit",
    type=click.Choice([habit.value for habit in Habit]),
    default=Habit.NEW_VALUE_OLD_ALIVE.value,
    show_default=True,
    help="What a repeated gettoken answers, and what becomes of the earlier token.",
)
@click.option(
    "--event",
    type=click.Choice(KINDS),
    metavar="KIND",
    help="Send this event to a broker instead, and exit 0 if it answers success; an unknown KIND lists all.",
)
@click.option("--callback-url", default="http://127.0.0.1:8080/callback/crm", show_default=True)
@click.option(
    "--callback-token",
    default=CALLBACK_TOKEN,
    envvar="WECOM_CALLBACK_TOKEN",
    help="The demo's by default; or set WECOM_CALLBACK_TOKEN, which `ps` does not show.",
)
@click.option(
    "--callback-aes-key",
    default=CALLBACK_AES_KEY,
    envvar="WECOM_CALLBACK_AES_KEY",
    help="The demo's by default; or set WECOM_CALLBACK_AES_KEY.",
)
@click.option("--corp", default="", help="The corp where it happens; the parent corp by default.")
@click.option("--user", default="", help="The member's userid; one of the corp's by default.")
@click.option("--agent", type=AGENT_ID, default=0, help="AgentID; the demo app's by default.")
@click.option("--text", default="你好", show_default=True, help="Message text.")
@click.option(
    "--change-type",
    type=click.Choice([change.value for change in ChangeType]),
    default=ChangeType.CORP_JOIN.value,
    show_default=True,
    help="ChangeType of a change_chain event.",
)
@click.option(
    "--count",
    type=click.IntRange(1),
    default=1,
    help="How many times. Events of one second count as repeats of one event, texts excepted.",
)
@click.option("--robot", is_flag=True, help="Send as to a smart robot (智能机器人): JSON, sealed for nobody.")
@click.option(
    "--raw", type=click.File("rb"), help="Send the bytes of this file instead of the message; - is stdin."
)
@click.option("--json-envelope", is_flag=True, help="Send the envelope as JSON instead of XML.")
@click.option("--receive-id", default="", help="The parent corp or the suite; the demo's by default.")
@click.pass_context
def simulate(
    context: click.Context,
    host: str,
    port: int,
    children: int,
    token_lifetime: timedelta,
    habit: str,
    event: str | None,
    callback_url: str,
    callback_token: str,
    callback_aes_key: str,
    corp: str,
    user: str,
    agent: int,
    text: str,
    change_type: str,
    count: int,
    robot: bool,
    raw: BinaryIO | None,
    json_envelope: bool,
    receive_id: str,
) -> None:
    """Serve a WeCom that behaves or misbehaves on command (`/_simulator/…`), or send one event of its."""
    _refuse_what_makes_no_sense(context, event)
    if event is None:
        _serve(host, port, children, token_lifetime, Habit(habit))
        return
    callback = _callback(callback_url, callback_token, callback_aes_key)
    callback = replace(callback, robot=robot, body_format=Format.JSON if json_envelope else Format.XML)
    try:
        if event == VERIFY_URL:
            asyncio.run(_verify(callback, receive_id))
        else:
            message = raw.read() if raw else None
            happening = SimulatedEvent(
                EventKind(event), corp, user, agent, text, ChangeType(change_type), receive_id, message
            )
            asyncio.run(_send(happening, callback, count))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _serve(host: str, port: int, children: int, token_lifetime: timedelta, habit: Habit) -> None:
    world = demo_world()
    add_children(world, children)
    world.settings.token_lifetime = token_lifetime.total_seconds()
    world.settings.habit = habit

    def announce(url: str) -> None:
        click.echo(f"simulated WeCom: {url}   corp {PARENT.corpid}, agent {PARENT.agentid}, secret {SECRET}")

    try:
        run_until_stopped(serve(world, host, port, announce))
    except OSError as error:
        fail(f"--port: cannot listen on {host}:{port}: {system_reason(error)}")


async def _verify(callback: Callback, receive_id: str) -> None:
    verification = await verify(callback, receive_id)
    if not verification.passed:
        fail(f"{VERIFY_URL}: {described(verification.attempt)}, not with the bare {verification.plaintext}")
    click.echo(f"{VERIFY_URL}: {described(verification.attempt)}")


async def _send(happening: SimulatedEvent, callback: Callback, count: int) -> None:
    failed = 0
    async for delivery in happening.send(callback, count):
        failed += not succeeded(delivery)
        line = f"{happening.kind}: {described(delivery.attempts[-1], len(delivery.attempts))}"
        click.echo(line, err=not succeeded(delivery))
    if failed:
        fail(f"{failed} of {count} not answered with 200 'success'")


def _refuse_what_makes_no_sense(context: click.Context, event: str | None) -> None:
    sensible = _SERVING if event is None else {"event", *options_of(event)}
    for option in context.command.params:
        name = option.name or ""
        if name in sensible or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        if event is None:
            raise click.UsageError(f"{option.opts[0]} is for --event.")
        raise click.UsageError(f"{option.opts[0]} is not for --event {event}.")


def _callback(url: str, token: str, aes_key: str) -> Callback:
    try:
        keys = CallbackKeys(token, aes_key)
    except ValueError as mistake:
        raise click.BadParameter(str(mistake), param_hint="--callback-aes-key") from None
    try:
        return Callback(url, keys)
    except ValueError as mistake:
        raise click.BadParameter(str(mistake), param_hint="--callback-url") from None
