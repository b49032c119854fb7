"""`sign`."""

import click
from wecom_broker import Signature, Tls

from broker.cli.json_line import print_json
from broker.cli.remote.connection import (
    SHARE_KINDS,
    address_option,
    asynchronous,
    json_option,
    open_broker,
    tls_options,
)
from broker.cli.remote.target import agent_option, corp_option, kind_option


@click.command()
@click.argument("app")
@click.argument("url")
@corp_option
@kind_option
@agent_option
@address_option
@tls_options
@json_option
@asynchronous
async def sign(
    app: str,
    url: str,
    corp: str,
    share_kind: str | None,
    agent_id: int,
    address: str,
    tls: Tls | None,
    as_json: bool,
) -> None:
    """Sign the page at URL for APP: what wx.config and wx.agentConfig need."""
    kind = SHARE_KINDS[share_kind] if share_kind else None
    async with open_broker(address, tls) as broker:
        signed = await broker.sign_page(app, url, corp=corp, share_kind=kind, agent_id=agent_id)
    shown = {
        "config": _fields(signed.config),
        "agent_config": {"agent_id": signed.agent_config.agent_id, **_fields(signed.agent_config)},
    }
    if as_json:
        print_json(shown)
        return
    for name, fields in shown.items():
        click.echo(name)
        for field, value in fields.items():
            click.echo(f"  {field:12} {value}")


def _fields(signature: Signature) -> dict[str, object]:
    return {
        "corp_id": signature.corp_id,
        "timestamp": signature.timestamp,
        "nonce_str": signature.nonce_str,
        "signature": signature.signature,
        "generation": signature.generation,
    }
