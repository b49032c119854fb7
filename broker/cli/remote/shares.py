"""`shares list` and `shares sync`."""

import click
from wecom_broker import AppShare, Tls

from broker.cli.ending import say_none
from broker.cli.json_line import print_json
from broker.cli.remote.connection import (
    SHARE_KINDS,
    address_option,
    asynchronous,
    json_option,
    open_broker,
    tls_options,
)
from broker.cli.shell.suggestions import Group
from broker.domain.printable import printable

parent_option = click.option(
    "--parent", default="", metavar="CORP", help="Of a suite: the corp that shares it. A suite needs it."
)


@click.group(cls=Group)
def shares() -> None:
    """Which child corps an app is shared with."""


@shares.command("list")
@click.argument("app")
@click.option("--share-kind", type=click.Choice(sorted(SHARE_KINDS)), help="Only this kind.")
@parent_option
@address_option
@tls_options
@json_option
@asynchronous
async def list_(
    app: str, share_kind: str | None, parent: str, address: str, tls: Tls | None, as_json: bool
) -> None:
    """Show the shares of APP that the broker knows."""
    kind = SHARE_KINDS[share_kind] if share_kind else None
    async with open_broker(address, tls) as broker:
        found = False
        async for share in broker.app_shares(app, share_kind=kind, parent=parent):
            found = True
            if as_json:
                print_json(_fields(share))
            else:
                click.echo(_line(share))
    if not found:
        say_none(as_json=as_json)


@shares.command()
@click.argument("app")
@parent_option
@address_option
@tls_options
@json_option
@asynchronous
async def sync(app: str, parent: str, address: str, tls: Tls | None, as_json: bool) -> None:
    """List the shares of APP at WeCom again, and show what changed."""
    async with open_broker(address, tls) as broker:
        changes = await broker.sync_app_shares(app, parent=parent)
    if as_json:
        told = {
            "added": [_fields(share) for share in changes.added],
            "removed": [_fields(share) for share in changes.removed],
            "unchanged_count": changes.unchanged_count,
        }
        print_json(told)
        return
    for sign, found in (("+", changes.added), ("-", changes.removed)):
        for share in found:
            click.echo(f"{sign} {_line(share)}")
    click.echo(
        f"{len(changes.added)} added, {len(changes.removed)} removed, {changes.unchanged_count} unchanged"
    )


def _fields(share: AppShare) -> dict[str, object]:
    return {
        "app": share.app,
        "corp_id": share.corp_id,
        "corp_name": share.corp_name,
        "agent_id": share.agent_id,
        "share_kind": _kind(share),
        "parent_corp_id": share.parent_corp_id,
    }


def _line(share: AppShare) -> str:
    return printable(f"{share.corp_id:32} {share.agent_id:>10}  {_kind(share):12}  {share.corp_name}")


def _kind(share: AppShare) -> str:
    return next((name for name, kind in SHARE_KINDS.items() if kind == share.share_kind), "")
