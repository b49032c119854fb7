"""`serve` and `check-config`."""

import asyncio
import json
import os
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import click
import structlog

from broker import __version__ as broker_version
from broker.app.errors import CannotStart
from broker.app.running_broker import running_broker
from broker.cli.ending import fail, run_until_stopped
from broker.cli.workers import CANNOT_START, CONFIG_UNUSABLE, supervise
from broker.config.load import ConfigError, load_config
from broker.config.schema import Config
from broker.config.warnings import warnings
from broker.telemetry.logging import LOGGER, set_up_logging

SUPERVISED_SECONDS = 1.0
"""How long a worker outlives a supervisor that was killed."""

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
        return load_config(path, insecure=insecure)
    except ConfigError as error:
        _refuse(path, error)


def _refuse(path: Path, error: ConfigError) -> NoReturn:
    for problem in error.problems:
        click.echo(f"config: {problem}", err=True)
    fail(f"{path} cannot be used", code=CONFIG_UNUSABLE)


@click.command()
@config_option
@insecure_option
@click.option("--worker", is_flag=True, hidden=True)
def serve(path: Path, insecure: bool, worker: bool) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain."""
    config = read_config(path, insecure=insecure)
    set_up_logging(config.log.level, config.log.format)
    if not worker:
        log = structlog.get_logger(LOGGER)
        for warning in warnings(config, datetime.now(UTC)):
            log.warning("check the configuration", problem=warning)
    if config.server.workers > 1 and not worker:
        supervise(path, config, insecure=insecure)
        return
    serving = _serve(config)
    try:
        run_until_stopped(_while_supervised(serving) if worker else serving)
    except CannotStart as error:
        fail(str(error), code=CANNOT_START)


async def _serve(config: Config) -> None:
    log = structlog.get_logger(LOGGER)
    try:
        async with running_broker(config) as broker:
            log.info(
                "serving",
                version=broker_version,
                grpc=broker.grpc_addresses,
                http_port=broker.http_port,
                store=config.store.place,
                apps=[app.name for app in config.apps],
                callers=[caller.name for caller in config.callers],
            )
            try:
                await asyncio.Event().wait()
            finally:
                log.info("draining", seconds=config.server.drain_seconds)
    except asyncio.CancelledError:
        log.info("stopped")
        raise


async def _while_supervised(serving: Coroutine[Any, Any, None]) -> None:
    """Serve until the supervisor is gone, however it ended: nothing else would stop a worker."""
    supervisor = os.getppid()
    task = asyncio.ensure_future(serving)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=SUPERVISED_SECONDS)
            if os.getppid() != supervisor:
                task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@click.command("check-config")
@config_option
@insecure_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_config(path: Path, insecure: bool, as_json: bool) -> None:
    """Check the configuration and report every mistake, by key; connect to nothing.

    Settings that are valid and probably not intended are warnings: the exit code stays 0.
    """
    try:
        config = load_config(path, insecure=insecure)
    except ConfigError as error:
        if not as_json:
            _refuse(path, error)
        click.echo(json.dumps({"ok": False, "mistakes": _by_key(error.problems)}, ensure_ascii=False))
        raise SystemExit(CONFIG_UNUSABLE) from None
    found = warnings(config, datetime.now(UTC))
    names = [app.name for app in config.apps]
    if as_json:
        told = {"ok": True, "apps": names, "store": config.store.place, "warnings": _by_key(found)}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for warning in found:
        click.echo(f"warning: {warning}", err=True)
    store = config.store.place.partition(":")[0]
    click.echo(f"{path} is fine: {len(names)} app(s) ({', '.join(names)}), store {store}")


def _by_key(problems: list[str]) -> list[dict[str, str]]:
    parts = (problem.partition(": ") for problem in problems)
    return [{"key": key, "message": message} for key, _, message in parts]
