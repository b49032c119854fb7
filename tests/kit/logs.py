"""Restores logging after a test: it is global, so a test's changes would affect the next one."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from broker.telemetry.logging import LOGGER


@contextmanager
def own_logging(*names: str) -> Iterator[None]:
    """Restore what the block changes; `names` are more loggers, beside the broker's, whose level changes."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in ("", LOGGER, "aiohttp.server", *names)}
    try:
        yield
    finally:
        root.handlers[:] = handlers
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        structlog.reset_defaults()
