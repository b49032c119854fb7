"""The event logs looked after: how far the groups are behind, and which of them nobody uses."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from broker.domain.errors import StoreUnavailable
from broker.domain.event_log import Retention
from broker.domain.ports.clock import Clock
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.observer import Observer

EVERY = timedelta(seconds=5)


class EventMaintenance:
    """Measure the groups, and forget those that were left."""

    def __init__(
        self, apps: Sequence[str], log: EventLog, keep: Retention, clock: Clock, observer: Observer
    ) -> None:
        self._apps = apps
        self._log = log
        self._keep = keep
        self._clock = clock
        self._observer = observer

    async def run(self) -> None:
        """Look after the logs, for ever; while the store is away the last figures stand."""
        while True:
            with suppress(StoreUnavailable):
                await self.look()
            await self._clock.sleep(EVERY)

    async def look(self) -> None:
        """Tell every group's lag; one unused for as long as events are kept has nothing to come back to."""
        lags = []
        for app in self._apps:
            await self._log.forget_groups(app, self._keep.age)
            lags += await self._log.lags(app)
        self._observer.groups_lag(lags)
