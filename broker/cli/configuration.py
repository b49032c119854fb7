"""The configuration file of a command: its options, and how its mistakes are reported."""

from pathlib import Path
from typing import NoReturn

import click

from broker.cli.ending import fail
from broker.cli.memory import hide_memory
from broker.cli.serving.workers import CONFIG_UNUSABLE
from broker.config.load import ConfigError, load_config
from broker.config.schema import Config

config_option = click.option(
    "--config",
    "path",
    required=True,
    envvar="WECOM_BROKER_CONFIG",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The TOML file; or set WECOM_BROKER_CONFIG.",
)
insecure_option = click.option(
    "--insecure", is_flag=True, help="Allow listening off loopback without TLS and callers."
)


def read_config(path: Path, *, insecure: bool) -> Config:
    """Return the configuration, or end the command and report all its mistakes."""
    try:
        return load_hidden(path, insecure=insecure)
    except ConfigError as error:
        refuse(path, error)


def load_hidden(path: Path, *, insecure: bool) -> Config:
    """Return the configuration; from here on this process leaves no core. Raises `ConfigError`."""
    hide_memory()
    return load_config(path, insecure=insecure)


def refuse(path: Path, error: ConfigError) -> NoReturn:
    """End the command and report all mistakes."""
    for problem in error.problems:
        click.echo(f"config: {problem}", err=True)
    fail(f"{path} cannot be used", code=CONFIG_UNUSABLE)
