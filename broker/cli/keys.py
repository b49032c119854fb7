"""`keys new`."""

import base64
import json
import os

import click


@click.group()
def keys() -> None:
    """Keys that seal the store."""


@keys.command("new")
@click.option("--id", "key_id", default="k1", show_default=True, help="The key's name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def new(key_id: str, as_json: bool) -> None:
    """Make a seal key: base64 of 32 random bytes. Keep it where only the brokers can read it."""
    key = base64.b64encode(os.urandom(32)).decode()
    click.echo(json.dumps({"id": key_id, "key": key}) if as_json else key)
