"""The audit trail that the configuration names: a file, stdout or the log."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from broker.app.errors import CannotStart
from broker.config.schema import STDOUT, Config
from broker.domain.audit import AuditOutcome, AuditRecord, AuditTarget
from broker.domain.ports.clock import Clock
from broker.telemetry.audit.observer import AuditTelemetry
from broker.telemetry.audit.sinks import AuditLog, AuditSink, audit_file, audit_stdout
from broker.telemetry.audit.trail import QueuedTrail
from broker.telemetry.observer import Telemetry
from broker.usecases.audit.journal import AuditJournal


@dataclass(frozen=True, slots=True)
class OpenAudit:
    """The trail, and the way into it."""

    trail: QueuedTrail
    journal: AuditJournal


@asynccontextmanager
async def open_audit(config: Config, telemetry: Telemetry, clock: Clock) -> AsyncIterator[OpenAudit]:
    """Write records until the context exits, and then what is left. Raises `CannotStart`."""
    observer = AuditTelemetry(telemetry.metrics, telemetry.problems, clock, is_log=config.audit.file is None)
    trail = QueuedTrail(_sink(config.audit.file), observer)
    try:
        trail.start()
    except OSError as error:
        raise CannotStart(f"audit.file: cannot write {config.audit.file}: {error.strerror}") from None
    journal = AuditJournal(trail, observer, clock)
    try:
        yield OpenAudit(trail, journal)
    finally:
        journal.close()
        await asyncio.to_thread(trail.close)


def record_command(config: Config, operation: str, done: Mapping[tuple[AuditTarget, str], int]) -> None:
    """Record what a command does to the store, if the trail is a file: how often, by target and reason.

    Raises `OSError`, which names the file: then the command must not go on.
    """
    if config.audit.file in (None, STDOUT):
        return
    sink = audit_file(Path(config.audit.file))
    sink.open()
    try:
        for (target, reason), count in done.items():
            sink.put(
                AuditRecord(
                    datetime.now(UTC),
                    AuditOutcome.OPERATED,
                    peer=f"uid:{os.getuid()}",
                    operation=operation,
                    target=target,
                    reason=reason,
                    repeats=count,
                )
            )
    except OSError as error:
        # A failed write does not name its file.
        raise OSError(error.errno, error.strerror, config.audit.file) from None
    finally:
        sink.close()


def _sink(file: str | None) -> AuditSink:
    if file is None:
        return AuditLog()
    return audit_stdout() if file == STDOUT else audit_file(Path(file))
