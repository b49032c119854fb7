"""How the reports of replicas are written into records, and read again."""

from broker.adapters.storage.codec import Codec
from broker.adapters.storage.payload import Count, Moment, Payload, RecordPayload
from broker.domain.ports.store import Record
from broker.domain.replica.report import KEPT, Meeting, ReplicaReport, SealUse


class _SealUse(Payload):
    id: str
    seals: bool
    configured: bool
    count: Count


class _Meeting(Payload):
    scope: str
    since: Moment
    calls: Count
    callers: tuple[str, ...]


class _ReportPayload(RecordPayload):
    at: Moment
    version: str
    started_at: Moment
    obstacle: str
    wecom_healthy: bool
    wecom_error: str
    credentials: Count
    seal_keys: tuple[_SealUse, ...]
    clock_problem: str
    certificates: dict[str, Moment]
    meetings: tuple[_Meeting, ...]


def _encode(report: ReplicaReport) -> Record:
    payload = _ReportPayload.model_validate(report, from_attributes=True)
    return Record(report.name_of(report.name), report.fence, payload.to_bytes(), report.at + KEPT)


def _decode(name: str, record: Record) -> ReplicaReport:
    fields = _ReportPayload.fields_of_record(record)
    fields["seal_keys"] = tuple(SealUse(**dict(use)) for use in fields["seal_keys"])
    fields["meetings"] = tuple(Meeting(**dict(meeting)) for meeting in fields["meetings"])
    return ReplicaReport(name, fence=record.fence, **fields)


REPLICAS = Codec(ReplicaReport.name_of, _encode, _decode)
