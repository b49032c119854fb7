"""What this replica reports of itself."""

from collections.abc import Callable, Sequence

import broker
from broker.domain.ports.clock import Clock
from broker.domain.replica.report import ReplicaReport, SealUse
from broker.usecases.admin import Admin
from broker.usecases.refusals.meetings import Meetings


class Reporter:
    """Look at this replica."""

    def __init__(
        self,
        name: str,
        admin: Admin,
        meetings: Meetings,
        seal_uses: Callable[[], Sequence[SealUse]],
        clock: Clock,
    ) -> None:
        self.name = name
        self._admin = admin
        self._meetings = meetings
        self._seal_uses = seal_uses
        self._clock = clock

    def report(self) -> ReplicaReport:
        """Return how this replica is doing now."""
        health, obstacle = self._admin.replica_health, self._admin.readiness.obstacle()
        return ReplicaReport(
            name=self.name,
            at=self._clock.now(),
            version=broker.__version__,
            started_at=health.started_at,
            obstacle=obstacle.problem if obstacle else "",
            wecom_healthy=health.wecom.healthy,
            wecom_error=health.wecom.last_error,
            credentials=self._admin.credential_count(),
            seal_keys=tuple(self._seal_uses()),
            clock_problem=health.clocks.problem,
            certificates=dict(health.certificates),
            meetings=tuple(self._meetings.most()),
        )
