"""What operators are told about the audit trail."""

from datetime import datetime, timedelta

import structlog

from broker.domain.audit import AuditRecord
from broker.domain.ports.clock import Clock
from broker.telemetry.logging import LOGGER
from broker.telemetry.metrics import Metrics
from broker.telemetry.recent_problems import ProblemKind, RecentProblems

REMINDER = timedelta(minutes=1)
"""How often a trail that cannot be written is logged."""


class AuditTelemetry:
    """The `AuditObserver` of a running broker. The trail's own thread calls it too."""

    def __init__(self, metrics: Metrics, problems: RecentProblems, clock: Clock, *, is_log: bool) -> None:
        self._clock = clock
        self._problems = problems
        self._log = structlog.get_logger(LOGGER)
        self._is_log = is_log
        # Alerts compare with what was before: both counters begin at 0.
        self._written = metrics.audit_records.labels("written")
        self._lost = metrics.audit_records.labels("lost")
        self._warned_at: dict[str, datetime] = {}

    def audit_written(self, count: int) -> None:
        """See `AuditObserver.audit_written`."""
        self._written.inc(count)

    def audit_lost(self, count: int) -> None:
        """See `AuditObserver.audit_lost`."""
        self._lost.inc(count)
        if self._is_time_for("lost"):
            self._log.error("audit records are lost: see audit_records_total", count=count)

    def audit_unwritable(self, problem: str) -> None:
        """See `AuditObserver.audit_unwritable`."""
        if self._is_time_for("unwritable"):
            self._log.error("the audit trail cannot be written; records wait in memory", problem=problem)

    def caller_refused(self, record: AuditRecord) -> None:
        """See `AuditObserver.caller_refused`: where the trail is the log, it has the record itself."""
        target = record.target
        detail = " ".join(filter(None, (record.reason, record.action, target.app, target.corp_id)))
        self._problems.note(ProblemKind.CALLER, record.caller or record.peer, detail, record.repeats)
        if self._is_log:
            return
        self._log.warning(
            "refused",
            caller=record.caller,
            peer=record.peer,
            action=record.action,
            app=record.target.app,
            corp_id=record.target.corp_id,
            reason=record.reason,
            repeats=record.repeats,
        )

    def _is_time_for(self, what: str) -> bool:
        now, last = self._clock.now(), self._warned_at.get(what)
        if last is not None and now - last < REMINDER:
            return False
        self._warned_at[what] = now
        return True
