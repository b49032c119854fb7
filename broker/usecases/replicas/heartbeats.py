"""The heartbeat of each replica in the store, and those of the others.

A report is written every ten seconds and expires by itself: a fleet has as many as it had replicas in the
last ten minutes.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection
from broker.domain.ports.store import Groups
from broker.domain.replica.report import BEAT_INTERVAL, KEPT, Meeting, ReplicaReport, SeenReplica

GROUP = "replicas"
MOST_REPLICAS = 1000
"""How many are read: a fleet whose replicas start again and again has a new name for each start."""


class Heartbeats:
    """Write this replica's report, and read all."""

    def __init__(
        self,
        reports: Collection[str, ReplicaReport],
        groups: Groups,
        look: Callable[[], ReplicaReport],
        clock: Clock,
    ) -> None:
        self._reports = reports
        self._groups = groups
        self._look = look
        self._clock = clock
        self._fence = 0
        """The number of the last report, which the store may have."""

    async def run(self) -> None:
        """Report for ever; while the store is unavailable, the others see how old the last report is."""
        while True:
            with suppress(StoreUnavailable):
                await self.beat()
            await self._clock.sleep(BEAT_INTERVAL)

    async def beat(self) -> None:
        """Write one report. Raises `StoreUnavailable`."""
        report = self._look().after(self._fence)
        self._fence = report.fence
        await self._reports.offer(report)
        await self._groups.enlist(GROUP, report.name, report.at + KEPT)

    async def leave(self) -> None:
        """Be one of the fleet no more: this replica ends in good order."""
        with suppress(StoreUnavailable):
            await self._groups.strike(GROUP, self._look().name)

    async def meetings_elsewhere(self) -> list[Meeting]:
        """Return which remembered errors were met on the other replicas, as far as they say."""
        own = self._look().name
        others = [seen.report for seen in await self.fleet() if seen.name != own]
        return [meeting for report in others if report for meeting in report.meetings]

    async def fleet(self) -> list[SeenReplica]:
        """Return all replicas by name, this one as it is now.

        While the store is unavailable it is this one alone.
        """
        own = self._look()
        seen = {own.name: SeenReplica(own.name, own.at, own)}
        with suppress(StoreUnavailable):
            names = await self._groups.members(GROUP, 0, MOST_REPLICAS)
            others = [name for name in names if name != own.name]
            for name, stored in (await self._reports.load(others)).items():
                if report := stored.value:
                    seen[name] = SeenReplica(name, report.at, report)
                elif not stored.is_readable:
                    # The number of a report is its moment, unless the replica's clock was set back.
                    at = datetime.fromtimestamp(stored.fence / 1000, UTC)
                    seen[name] = SeenReplica(name, at, None)
        return sorted(seen.values(), key=lambda replica: replica.name)
