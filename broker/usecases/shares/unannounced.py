"""Shares that ended although no event said so: WeCom refuses the child (670001), or a listing lacks it.

A refusal alone takes no child away: the answer may be a mistake, and callers choose what is asked. It has the
shares listed anew, as an event does, and the listing decides for every replica.

Events name no child (wecom-api C4), so one since the listing before announces whatever the next one lacks.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Counters, Notice, NoticeKind
from broker.domain.shares import AHEAD, AppShare, ListingKey, ShareChanges, ShareList
from broker.usecases.fleet.background import Background
from broker.usecases.shares.lists import ShareLists
from broker.usecases.shares.relisting import SKEW, Relisting

MOST_REFUSED = 5
"""How many listings of one kind refusals may cause during a cooldown, fleet-wide; each child causes one."""
LATE = timedelta(seconds=20)
"""How long after the listing an event may come: WeCom repeats callbacks within seconds (wecom-api C1)."""
MOST_TOLD = 10_000
"""Of how many listings the last event is remembered: who writes to the store can forge notices."""


class UnannouncedEnds:
    """Find out whether a share has ended, and tell operators if no event of WeCom said so."""

    def __init__(
        self,
        *,
        lists: ShareLists,
        relisting: Relisting,
        counters: Counters,
        clock: Clock,
        observer: Observer,
        cooldown: timedelta,
        called_back: Collection[str],
        tasks: Background,
    ) -> None:
        self._lists = lists
        self._relisting = relisting
        self._counters = counters
        self._clock = clock
        self._observer = observer
        self._cooldown = cooldown
        self._called_back = called_back
        self._tasks = tasks
        self._told_at: dict[ListingKey, datetime] = {}
        """When the last event about each listing came."""
        self._connected_at = clock.now()
        """Events before may have been missed here."""

    def on_notice(self, notice: Notice) -> None:
        """Note an event about shares, or that there may have been some."""
        if notice.kind is NoticeKind.CONNECTED:
            self._connected_at = self._clock.now()
        elif notice.kind is NoticeKind.APPENDED and (listing := ListingKey.read(notice.name)):
            self._told_at.pop(listing, None)
            self._told_at[listing] = self._clock.now()
            if len(self._told_at) > MOST_TOLD:
                del self._told_at[next(iter(self._told_at))]

    def on_listed(self, listing: ShareList, before: ShareList | None) -> None:
        """React to a listing that this replica fetched and committed."""
        if before is None or listing.app not in self._called_back:
            return
        if ended := ShareChanges.between(before.shares, listing.shares).removed:
            self._tasks.create_task(self._judge(listing.key, before.listed_at, ended))

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

    async def _judge(self, listing: ListingKey, since: datetime, ended: Sequence[AppShare]) -> None:
        await self._clock.sleep(LATE)
        told_at = self._told_at.get(listing)
        was_told = told_at is not None and told_at >= since - AHEAD
        if not was_told and self._connected_at <= since:
            self._observer.shares_ended_unannounced(listing.app, ended)

    async def _may_list(self, listing: ListingKey, corp_id: str) -> bool:
        """Return whether refusals may cause another listing; without the store, `Relisting` has a limit."""
        of_all = f"refused:{listing.name}"
        with suppress(StoreUnavailable):
            if await self._counters.count(f"{of_all}:{corp_id}", self._cooldown) > 1:
                return False
            return await self._counters.count(of_all, self._cooldown) <= MOST_REFUSED
        return True
