"""Share lists by the clock: WeCom's events may be lost (wecom-api C1)."""

import asyncio
from datetime import datetime, timedelta
from zlib import crc32

from broker.domain.errors import CorpNotAuthorized, ReauthorizationRequired, UnknownApp
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.shares import ListingKey
from broker.usecases.limits.recovery_budget import begin_recovery_budget
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.lists import ShareLists
from broker.usecases.shares.parents import Parents

LOOK = timedelta(seconds=30)
"""How often the age of listings is checked."""
AT_ONCE = 8
"""How many listings are under way together: thousands of corps may share a suite."""


class Reconciliation:
    """List anew what is in use, and of suites what is known to be shared; nothing is listed at the start."""

    def __init__(
        self,
        *,
        lists: ShareLists,
        lister: ShareLister,
        parents: Parents,
        clock: Clock,
        observer: Observer,
        sync_every: timedelta,
    ) -> None:
        self._lists = lists
        self._lister = lister
        self._parents = parents
        self._clock = clock
        self._observer = observer
        self._sync_every = sync_every

    async def run(self) -> None:
        """List anew, for ever, what was listed too long ago."""
        began = self._clock.now()
        while True:
            await self._clock.sleep(min(self._sync_every, LOOK))
            due = self._due(began)
            for start in range(0, len(due), AT_ONCE):
                await asyncio.gather(*(self._list(*listing) for listing in due[start : start + AT_ONCE]))

    def _due(self, began: datetime) -> list[tuple[ListingKey, datetime]]:
        """Return what must be listed, and the moment at which, or after which, it must have begun."""
        now = self._clock.now()
        due = []
        for listing in self._lists.all():
            moment = listing.listed_at + self._sync_every
            if now >= moment or listing.is_from_the_future(now):
                due.append((listing.key, min(moment, now)))
        # After a start, those that are not in memory are looked at one by one, spread over the interval; the
        # fleet's listing is good enough if it is not too old.
        due += [
            (key, now - self._sync_every)
            for key in self._parents.known()
            if self._lists.get(key) is None and now >= began + self._sync_every * _phase(key)
        ]
        return due

    async def _list(self, listing: ListingKey, moment: datetime) -> None:
        begin_recovery_budget()
        try:
            app = await self._parents.sharing(listing)
            await self._lister.list_since(app, listing.share_kind, moment)
        except (CorpNotAuthorized, ReauthorizationRequired, UnknownApp):
            return  # it is listed again once the corp has authorised again
        except Exception as error:  # noqa: BLE001 - else the others would not be listed
            self._observer.background_failed(f"listing the shares of {listing.app}", error)


def _phase(key: ListingKey) -> float:
    return crc32(key.name.encode()) / 2**32
