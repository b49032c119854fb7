"""Logging belongs to the whole process: what a test sets up would be the next one's too."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from broker.telemetry.logging import LOGGER


@contextmanager
def own_logging(*names: str) -> Iterator[None]:
    """Put back what is changed inside; `names` are loggers whose level is changed beside the broker's."""
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
