"""`serve`."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import structlog

from broker import __version__ as broker_version
from broker.app.errors import CannotStart
from broker.app.reloading.watching import ConfigFiles
from broker.app.running_broker import running_broker
from broker.cli.configuration import config_option, insecure_option, read_config
from broker.cli.ending import fail, run_until_stopped
from broker.cli.serving.file_changes import reload_after_changes
from broker.cli.serving.garbage import spare_what_stays, spare_what_was_loaded
from broker.cli.serving.hangup import Hangups
from broker.cli.serving.open_files import allow_open_files
from broker.cli.serving.service_manager import ServiceManager
from broker.cli.serving.workers import CANNOT_START, supervise
from broker.config.checking.warnings import warnings
from broker.config.load import load_config
from broker.config.schema import Config
from broker.telemetry.logging import LOGGER, set_up_logging

Reload = Callable[[], Awaitable[None]]
SUPERVISED_SECONDS = 1.0
"""How long a worker outlives a supervisor that was killed."""


@click.command()
@config_option
@insecure_option
@click.option("--worker", type=int, hidden=True, help="The descriptor by which a supervisor is told.")
def serve(path: Path, insecure: bool, worker: int | None) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain."""
    allow_open_files()
    # Both before the file is read: what changes later is a change, with a SIGHUP or without.
    hangups = Hangups()
    path = path.absolute()
    files = ConfigFiles(path)
    config = read_config(path, insecure=insecure)
    set_up_logging(config.log.level, config.log.format)
    if worker is None:
        log = structlog.get_logger(LOGGER)
        for warning in warnings(config, datetime.now(UTC)):
            log.warning("check the configuration", problem=warning)
    manager = (
        ServiceManager.of(os.environ) if worker is None else ServiceManager(socket.socket(fileno=worker))
    )
    if config.server.workers > 1 and worker is None:
        supervise(path, config, hangups, manager, insecure=insecure)
        return
    serving = _serve(config, path, files, hangups, manager, insecure=insecure)
    try:
        run_until_stopped(serving if worker is None else _while_supervised(serving))
    except CannotStart as error:
        fail(str(error), code=CANNOT_START)
    finally:
        hangups.ignore()


async def _serve(
    config: Config,
    path: Path,
    files: ConfigFiles,
    hangups: Hangups,
    manager: ServiceManager,
    *,
    insecure: bool,
) -> None:
    log = structlog.get_logger(LOGGER)
    try:
        async with running_broker(
            config, lambda: load_config(path, insecure=insecure), about_to_listen=spare_what_stays
        ) as broker:
            spare_what_was_loaded()
            broker.preloading.add_done_callback(lambda _: spare_what_was_loaded())
            log.info(
                "serving",
                version=broker_version,
                grpc=broker.grpc_addresses,
                http_port=broker.http_port,
                store=config.store.place,
                apps=[app.name for app in config.apps],
                callers=[caller.name for caller in config.callers],
            )
            asked = asyncio.Event()

            async def reload() -> None:
                with manager.reloading() as note:
                    note(await broker.reload.reload())

            hangups.listen(asked.set)
            manager.ready()
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_reload_when(asked, reload))
                    tasks.create_task(reload_after_changes(files, reload))
            finally:
                hangups.ignore()
                manager.stopping()
                log.info("draining", seconds=config.server.drain_seconds)
    except asyncio.CancelledError:
        log.info("stopped")
        raise


async def _reload_when(asked: asyncio.Event, reload: Reload) -> None:
    """Reload for each SIGHUP; of many at once, one reload begins after the last."""
    while True:
        await asked.wait()
        asked.clear()
        await reload()


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
