"""Where audit records go."""

from typing import Protocol

from broker.domain.audit import AuditRecord


class AuditTrail(Protocol):
    """Keep records. A trail that cannot be written delays nobody: what is lost is counted."""

    def write(self, record: AuditRecord) -> None:
        """Take a record, to be written soon. Never waits, never raises."""


class AuditObserver(Protocol):
    """Tell operators how the trail fares."""

    def audit_written(self, count: int) -> None:
        """So many records are in the trail now."""

    def audit_lost(self, count: int) -> None:
        """So many records will never be in the trail."""

    def audit_unwritable(self, problem: str) -> None:
        """The trail cannot be written now; what comes is kept in memory, as far as there is room."""

    def caller_refused(self, record: AuditRecord) -> None:
        """A refusal was recorded; at most one a second, since repeats are summed."""
