"""Maintenance of the event logs: what is too old, how far groups lag, and which of them are unused."""

from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

from broker.domain.errors import StoreUnavailable
from broker.domain.events.log import Retention
from broker.domain.ports.clock import Clock
from broker.domain.ports.event_groups import EventGroups, Parked
from broker.domain.ports.observer import Observer

MEASURE_INTERVAL = timedelta(seconds=5)


class EventMaintenance:
    """Remove what is no longer kept, measure how far groups lag, and delete unused ones."""

    def __init__(
        self,
        apps: Collection[str],
        groups: EventGroups,
        parked: Parked,
        keep: Retention,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._apps = apps
        self._groups = groups
        self._parked = parked
        self._keep = keep
        self._clock = clock
        self._observer = observer

    async def run(self) -> None:
        """Maintain the logs for ever; while the store is unavailable the last figures stand."""
        while True:
            with suppress(StoreUnavailable):
                await self.look()
            await self._clock.sleep(MEASURE_INTERVAL)

    async def look(self) -> None:
        """Report every group's lag; delete unused groups; bring back events whose seal key is here by now.

        Old events are removed here too: an app that gets no new ones has no append that would do it.
        """
        await self._parked.bring_back()
        lags = []
        for app in list(self._apps):
            await self._groups.trim(app, self._keep)
            await self._groups.forget_groups(app, self._keep.age)
            lags += await self._groups.lags(app)
        self._observer.groups_lag(lags)
