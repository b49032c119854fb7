"""A guard as the broker builds it, over callers of the test's."""

from broker.adapters.system import SystemClock
from broker.domain.caller_policy import CallerPolicy
from broker.domain.ports.clock import Clock
from broker.server.grpc.audit.calls import CallAudit
from broker.server.grpc.entry.admission import Admission
from broker.server.grpc.entry.authorizer import Authorizer
from broker.server.grpc.entry.identity import Identity
from broker.server.grpc.entry.open_streams import OpenStreams
from broker.server.grpc.entry.subjects import Subjects
from broker.server.grpc.guard import Met, RpcGuard
from broker.telemetry.metrics import Metrics
from tests.kit.memory.audit_trail import MemoryTrail
from tests.kit.memory.fake_clock import FakeClock
from tests.unit.server.fakes import audit_in_memory


def guard_of(
    policy: CallerPolicy,
    subjects: Subjects | None = None,
    metrics: Metrics | None = None,
    trail: MemoryTrail | None = None,
    clock: Clock | None = None,
    met: Met | None = None,
    admission: Admission | None = None,
) -> RpcGuard:
    """Return a guard over the policy."""
    authorizer = Authorizer(policy, subjects or Subjects())
    audit = CallAudit(audit_in_memory(FakeClock(), trail))
    return RpcGuard(
        Identity(policy, clock or SystemClock()),
        admission or Admission(policy),
        authorizer,
        OpenStreams(policy),
        audit,
        metrics or Metrics(),
        met=met or (lambda _error, _caller: None),
    )
