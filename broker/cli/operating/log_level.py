"""`log-level`."""

import click
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.cli.json_line import print_json
from broker.cli.operating.desk import Desk, operating
from broker.cli.operating.plain import plain, word_of

LEVELS = ("debug", "info", "warning", "error")


@click.command("log-level")
@click.argument("level", type=click.Choice(LEVELS))
@operating
async def log_level(desk: Desk, level: str) -> None:
    """Change how much the replica at --address logs, until it restarts."""
    request = pb.SetLogLevelRequest(level=f"LOG_LEVEL_{level.upper()}")
    answer = await desk.ask(desk.admin.SetLogLevel, request)
    if desk.as_json:
        print_json(plain(answer))
        return
    before = word_of(pb.LogLevel.DESCRIPTOR, answer.previous_level)
    click.echo(f"{answer.replica}: {level}, {before} before")
