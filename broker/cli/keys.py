"""`keys new` and `keys reseal`."""

import asyncio
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import click

from broker.app.at_rest.reseal import Resealed
from broker.app.at_rest.reseal import reseal as walk
from broker.app.errors import CannotStart
from broker.cli.configuration import config_option, read_config
from broker.cli.ending import fail
from broker.cli.json_line import print_json
from broker.cli.shell.suggestions import Group
from broker.config.schema import Config
from broker.domain.errors import StoreUnavailable
from broker.telemetry.logging import set_up_logging

COLUMNS = ("resealed", "current", "changed", "unknown", "broken")


@click.group(cls=Group)
def keys() -> None:
    """Keys that seal the store."""


@keys.command("new")
@click.option("--id", "key_id", default="k1", show_default=True, help="The key's name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def new(key_id: str, as_json: bool) -> None:
    """Make a seal key: base64 of 32 random bytes. Keep it where only the brokers can read it."""
    key = b64encode(os.urandom(32)).decode()
    if as_json:
        print_json({"id": key_id, "key": key})
    else:
        click.echo(key)


@keys.command("reseal")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one line for each step.")
def reseal(path: Path, as_json: bool) -> None:
    """Seal with the first of `seal_keys` all that another key sealed, and say which keys may be removed.

    It works on the store that --config names. With Redis the brokers go on serving; with SQLite stop the
    broker first. It may be interrupted and run again. The exit code is 1 if another key is still needed.
    """
    config = read_config(path, insecure=True)
    set_up_logging("critical", "console")
    try:
        asyncio.run(_reseal(config, as_json=as_json))
    except StoreUnavailable as error:
        fail(f"store.url: {error.reason}: {error.message}")
    except CannotStart as error:
        in_use = "in use" in str(error)
        fail(f"{error}{'; stop the broker first: SQLite serves one process at a time' if in_use else ''}")


async def _reseal(config: Config, *, as_json: bool) -> None:
    done, told = Resealed(), 0
    async for done in walk(config):
        if as_json:
            print_json({"done": False, **_told(done)})
        elif (looked := sum(done.resealed.values()) + sum(done.current.values())) - told >= 1000:  # noqa: PLR2004
            click.echo(f"{looked} looked at", err=True)
            told = looked
    if as_json:
        print_json({"done": True, "complete": done.is_complete, **_told(done)})
    else:
        for kind in sorted(_kinds(done)):
            counts = [f"{getattr(done, column)[kind]} {column}" for column in COLUMNS]
            click.echo(f"{kind}: {', '.join(count for count in counts if not count.startswith('0 '))}")
    if missing := sorted(done.missing_keys):
        fail(
            f"store.seal_keys: {', '.join(missing)} sealed some of it and is not configured;"
            " add it and run this again"
        )
    if late := sorted(done.late_keys):
        fail(
            f"a broker still seals with {', '.join(late)}: make {_first(config)} the first of seal_keys"
            " on every replica, then run this again"
        )
    if not as_json:
        others = [key.id for key in config.store.seal_keys[1:]]
        may_go = f"{', '.join(others)} may be removed from" if others else "it is the only one in"
        click.echo(f"all is sealed with {_first(config)}; {may_go} store.seal_keys")


def _first(config: Config) -> str:
    return config.store.seal_keys[0].id if config.store.seal_keys else "the key in the key file"


def _kinds(done: Resealed) -> set[str]:
    return {kind for column in COLUMNS for kind in getattr(done, column)}


def _told(done: Resealed) -> dict[str, Any]:
    kinds = {
        kind: {column: getattr(done, column)[kind] for column in COLUMNS} for kind in sorted(_kinds(done))
    }
    return {"kinds": kinds, "missing_keys": done.missing_keys, "late_keys": done.late_keys}
