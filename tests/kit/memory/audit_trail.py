"""An audit trail in memory."""

from broker.domain.audit import AuditRecord


class MemoryTrail:
    """The `AuditTrail` of tests."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []

    def write(self, record: AuditRecord) -> None:
        """See `AuditTrail`."""
        self.records.append(record)
