"""The changes of the configuration's files, each of which is a reload."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from broker.app.reloading.watching import CannotWatch, ConfigFiles, watch
from broker.telemetry.logging import LOGGER

UNWATCHED_SECONDS = 60.0
"""How long until watching is tried again."""


async def reload_after_changes(files: ConfigFiles, reload: Callable[[], Awaitable[None]]) -> None:
    """Reload after each change of a file, for ever; without a way to watch, within a minute or at SIGHUP."""
    while True:
        try:
            await watch(files, reload)
        except (CannotWatch, OSError) as problem:
            structlog.get_logger(LOGGER).warning(
                "files of the configuration cannot be watched; send SIGHUP after a change, or wait a minute",
                problem=str(problem),
            )
            await asyncio.sleep(UNWATCHED_SECONDS)
