"""Shares that ended although no event said so: WeCom refuses the child (670001).

A refusal alone takes no child away: the answer may be a mistake, and callers choose what is asked. It has the
shares listed anew, as an event does, and the listing decides for every replica.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Counters
from broker.domain.shares import ListingKey
from broker.usecases.fleet.background import Background
from broker.usecases.shares.lists import ShareLists
from broker.usecases.shares.relisting import SKEW, Relisting

MOST_REFUSED = 5
"""How many listings of one kind refusals may cause during a cooldown, fleet-wide; each child causes one."""


class UnannouncedEnds:
    """Find out whether a share has ended."""

    def __init__(
        self,
        *,
        lists: ShareLists,
        relisting: Relisting,
        counters: Counters,
        clock: Clock,
        cooldown: timedelta,
        tasks: Background,
    ) -> None:
        self._lists = lists
        self._relisting = relisting
        self._counters = counters
        self._clock = clock
        self._cooldown = cooldown
        self._tasks = tasks

    def on_refused(self, key: CredentialKey) -> None:
        """React to WeCom's answer that the corp of this credential does not have the app."""
        if key.share_kind is ShareKind.OWN:
            return
        listing = ListingKey(key.app, key.share_kind, key.parent_corp_id)
        held = self._lists.get(listing)
        if held is None or held.find(key.corp_id, key.agent_id):
            self._tasks.create_task(self._list_anew(listing, key.corp_id, self._clock.now()))

    async def _list_anew(self, listing: ListingKey, corp_id: str, refused_at: datetime) -> None:
        if await self._may_list(listing, corp_id):
            # Whoever asked may list at this very moment (`Targets.reach`), and that one listing is enough.
            self._relisting.schedule_listing(listing, refused_at - SKEW)

    async def _may_list(self, listing: ListingKey, corp_id: str) -> bool:
        """Return whether refusals may cause another listing; without the store, `Relisting` has a limit."""
        of_all = f"refused:{listing.name}"
        with suppress(StoreUnavailable):
            if await self._counters.count(f"{of_all}:{corp_id}", self._cooldown) > 1:
                return False
            return await self._counters.count(of_all, self._cooldown) <= MOST_REFUSED
        return True
