"""Structured logs, as text or JSON, without secrets."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

LOGGER = "wecom_broker"
AUDIT_LOGGER = f"{LOGGER}.audit"
"""Audit records in the log; the level of the log does not concern them."""
_CARRIES_SECRET = re.compile(r"((?:access_token|secret|ticket|session_key|(?<!err)code)=)[^&\s\"'<>]+")


def set_up_logging(level: str, form: str) -> None:
    """Send every log line of the process to stderr, as text (`console`) or JSON."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    render: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The default shows the variables of each frame where rich is installed, and secrets among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries never log below info: at debug they report every poll.
    root.setLevel(max(logging.INFO, logging.getLevelName(level.upper())))
    logging.getLogger(LOGGER).setLevel(level.upper())
    logging.getLogger(AUDIT_LOGGER).setLevel(logging.INFO)
    # Any stranger's broken request would log a stack trace; our own endpoints log their failures.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


class LogLevel:
    """The level of the process's log: a reload or an operator may change it."""

    def __init__(self, level: str, form: str) -> None:
        self._level = level
        self._form = form

    def replace(self, level: str) -> str:
        """Log at that level from now on; return the one before."""
        before, self._level = self._level, level
        if level != before:
            set_up_logging(level, self._form)
        return before


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove secrets from query strings: the last defence against libraries that log URLs."""
    for name, value in event.items():
        if isinstance(value, str) and "=" in value:
            event[name] = _CARRIES_SECRET.sub(r"\1***", value)
    return event
