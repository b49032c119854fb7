"""Audit records for tests, and an observer that counts."""

from dataclasses import dataclass, field

from broker.domain.audit import AuditOutcome, AuditRecord, AuditTarget
from tests.unit.domain.credentials import NOON

RECORD = AuditRecord(
    NOON,
    AuditOutcome.HANDED_OUT,
    caller="orders",
    peer="192.0.2.7",
    action="token.get",
    target=AuditTarget("crm", "ww1child", "access_token", 1000010, "corp_group"),
    generation=7,
    fingerprint="0123456789ab",
    request_id="6b1f",
)


@dataclass
class Witness:
    """An `AuditObserver` that counts."""

    written: int = 0
    lost: int = 0
    problems: list[str] = field(default_factory=list)
    refused: list[AuditRecord] = field(default_factory=list)

    def audit_written(self, count: int) -> None:
        """See `AuditObserver`."""
        self.written += count

    def audit_lost(self, count: int) -> None:
        """See `AuditObserver`."""
        self.lost += count

    def audit_unwritable(self, problem: str) -> None:
        """See `AuditObserver`."""
        self.problems.append(problem)

    def caller_refused(self, record: AuditRecord) -> None:
        """See `AuditObserver`."""
        self.refused.append(record)
