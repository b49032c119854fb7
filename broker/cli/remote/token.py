"""`token`: `get` and `watch`; `write` has a file of its own."""

from datetime import timedelta

import click
from wecom_broker import Tls

from broker.cli.json_line import print_json
from broker.cli.options import seconds
from broker.cli.remote.connection import (
    SHARE_KINDS,
    address_option,
    asynchronous,
    json_option,
    open_broker,
    tls_options,
    token_fields,
)
from broker.cli.remote.target import agent_option, corp_option, kind_option
from broker.cli.remote.token_file import write
from broker.cli.shell.suggestions import Group

reveal_option = click.option("--reveal", is_flag=True, help="Show the whole token.")


@click.group(cls=Group)
def token() -> None:
    """Access tokens, from a running broker."""


token.add_command(write)


@token.command()
@click.argument("app")
@corp_option
@kind_option
@agent_option
@click.option("--min-ttl", type=seconds, help="How many seconds the token must still live.")
@address_option
@tls_options
@reveal_option
@json_option
@asynchronous
async def get(
    app: str,
    corp: str,
    share_kind: str | None,
    agent_id: int,
    min_ttl: timedelta | None,
    address: str,
    tls: Tls | None,
    reveal: bool,
    as_json: bool,
) -> None:
    """Show the access token of APP."""
    kind = SHARE_KINDS[share_kind] if share_kind else None
    async with open_broker(address, tls) as broker:
        found = await broker.access_token(app, corp=corp, share_kind=kind, agent_id=agent_id, min_ttl=min_ttl)
    _show(token_fields(found, reveal=reveal), as_json=as_json)


@token.command()
@click.argument("app")
@corp_option
@kind_option
@agent_option
@address_option
@tls_options
@reveal_option
@json_option
@asynchronous
async def watch(
    app: str,
    corp: str,
    share_kind: str | None,
    agent_id: int,
    address: str,
    tls: Tls | None,
    reveal: bool,
    as_json: bool,
) -> None:
    """Show the access token of APP now and at each rotation, until Ctrl-C."""
    kind = SHARE_KINDS[share_kind] if share_kind else None
    async with open_broker(address, tls) as broker:
        async for found in broker.watch_access_token(app, corp=corp, share_kind=kind, agent_id=agent_id):
            _show(token_fields(found, reveal=reveal), as_json=as_json)


def _show(fields: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(fields)
        return
    for name, value in fields.items():
        click.echo(f"{name:12} {value}")
