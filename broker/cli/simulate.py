"""`simulate`: WeCom on this machine."""

from datetime import timedelta

import click

from broker.cli.ending import fail, run_until_stopped
from broker.cli.options import PORT, seconds
from broker.simulator.demo import PARENT, SECRET, add_children
from broker.simulator.server import serve
from broker.simulator.tokens import Habit
from broker.simulator.world import World


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=8081, show_default=True, help="0 takes a free one.")
@click.option(
    "--children", type=click.IntRange(0), default=0, show_default=True, help="So many children more."
)
@click.option("--token-lifetime", type=seconds, default=7200, show_default=True, help="Seconds.")
@click.option(
    "--habit", type=click.Choice([habit.value for habit in Habit]), default=Habit.NEW_VALUE_OLD_ALIVE.value
)
def simulate(host: str, port: int, children: int, token_lifetime: timedelta, habit: str) -> None:
    """Serve a WeCom that behaves, or misbehaves, as it is told (`/_simulator/…`)."""
    world = World.demo()
    add_children(world, children)
    world.settings.token_lifetime = token_lifetime.total_seconds()
    world.settings.habit = Habit(habit)

    def announce(url: str) -> None:
        click.echo(f"simulated WeCom: {url}   corp {PARENT.corpid}, agent {PARENT.agentid}, secret {SECRET}")

    try:
        run_until_stopped(serve(world, host, port, announce))
    except OSError as error:
        fail(f"--port: cannot listen on {host}:{port}: {error.strerror or error}")
