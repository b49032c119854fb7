"""When shares are listed anew: after WeCom's events, and from time to time.

The events do not say which child came or left (wecom-api C4, G15), and may be lost (wecom-api C1).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.errors import BrokerError
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Notice, NoticeKind
from broker.domain.shares import ShareList
from broker.usecases.fleet.background import Background
from broker.usecases.limits.recovery_budget import begin_recovery_budget
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.lists import ShareLists, named

QUIET = timedelta(milliseconds=100)
"""When an administrator changes many children, the burst of events causes one listing."""
PATIENCE = 4
"""How many times QUIET a burst may last at most: a removed child is refused within a second."""
SKEW = timedelta(milliseconds=50)
"""How far clocks of the fleet may be apart; less than QUIET, so that it causes no second listing."""
PROMPT = timedelta(seconds=1)
"""How far a notice's time may be from the clock's; beyond that, the clock's is used instead."""
REST, LONGEST_REST = timedelta(seconds=1), timedelta(seconds=30)
"""The first and the longest pause after a failed listing; `ErrorCache` remembers refusals."""
SETTLED = timedelta(seconds=2)
"""How long replicas take to reconnect after an outage of the store: then one listing serves all."""
LOOK = timedelta(seconds=30)
"""How often the age of listings is checked."""


@dataclass(slots=True)
class Expected:
    """A listing that is needed."""

    moment: datetime
    """It must be begun at this moment or later."""
    heard: int = 1
    """How many events asked for it."""


class Relisting:
    """List anew what may have changed: each replica asks for it, and the lease makes it one listing."""

    def __init__(
        self,
        *,
        apps: Mapping[str, App],
        lists: ShareLists,
        lister: ShareLister,
        clock: Clock,
        observer: Observer,
        sync_every: timedelta,
        called_back: Collection[str],
        tasks: Background,
    ) -> None:
        self._apps = apps
        self._lists = lists
        self._lister = lister
        self._clock = clock
        self._observer = observer
        self._sync_every = sync_every
        self._called_back = called_back
        self._tasks = tasks
        self._named = named(apps)
        self._expected: dict[str, Expected] = {}
        self._connected_at: datetime | None = None
        self._catching_up = False

    def on_notice(self, notice: Notice) -> None:
        """React to an event about shares, and to a store that was unavailable."""
        if notice.kind is NoticeKind.APPENDED and notice.name in self._named:
            self.schedule(*self._named[notice.name], self._moment(notice.fence))
        elif notice.kind is NoticeKind.CONNECTED:
            if self._connected_at and not self._catching_up:
                self._catching_up = True
                self._tasks.create_task(self._catch_up())
            self._connected_at = self._clock.now()

    def schedule(self, app: App, kind: ShareKind, moment: datetime) -> None:
        """Have the shares listed soon, after the moment; a burst of events causes one listing."""
        if kind not in app.share_kinds:
            return
        moment += SKEW
        name = ShareList.name_of(app.name, kind)
        if expected := self._expected.get(name):
            expected.moment = max(expected.moment, moment)
            expected.heard += 1
        else:
            expected = self._expected[name] = Expected(moment)
            self._tasks.create_task(self._relist(app, kind, expected))

    async def reconcile(self) -> None:
        """List anew, for ever, what is in use: events may be lost."""
        while True:
            await self._clock.sleep(min(self._sync_every, LOOK))
            for listing in self._lists.all():
                now, due = self._clock.now(), listing.listed_at + self._sync_every
                if now < due and not listing.is_from_the_future(now):
                    continue
                if error := await self._list(listing.app, listing.share_kind, min(due, now)):
                    self._observer.background_failed(f"listing the shares of {listing.app}", error)

    def _moment(self, milliseconds: int) -> datetime:
        """Return when the event came: one moment for all replicas, unless clocks contradict it."""
        now = self._clock.now()
        if abs(now.timestamp() * 1000 - milliseconds) > PROMPT / timedelta(milliseconds=1):
            return now
        return datetime.fromtimestamp(milliseconds / 1000, UTC)

    async def _relist(self, app: App, kind: ShareKind, expected: Expected) -> None:
        """List until no event is newer than the listing; a failure is reported once, and tried again."""
        rest = REST
        failed = False
        listed: datetime | None = None
        while listed != expected.moment:
            await self._debounce(expected)
            moment = expected.moment
            error = await self._list(app.name, kind, moment)
            if error is None:
                listed, rest, failed = moment, REST, False
                continue
            if not failed:
                self._observer.background_failed(f"listing the shares of {app.name} after an event", error)
            failed = True
            wish = error.retry_after if isinstance(error, BrokerError) else None
            await self._clock.sleep(min(max(rest, wish or rest), LONGEST_REST))
            rest *= 2
        del self._expected[ShareList.name_of(app.name, kind)]

    async def _debounce(self, expected: Expected) -> None:
        """Return when the burst is over, or has lasted long enough."""
        for _ in range(PATIENCE):
            heard = expected.heard
            await self._clock.sleep(QUIET)
            if heard == expected.heard:
                return

    async def _list(self, app: str, kind: ShareKind, moment: datetime) -> Exception | None:
        begin_recovery_budget()
        try:
            await self._lister.list_since(self._apps[app], kind, moment)
        except Exception as error:  # noqa: BLE001 - else later events would be ignored
            return error
        return None

    async def _catch_up(self) -> None:
        """List anew what is in use and has a callback: events or notices may have been lost meanwhile."""
        moment = None
        while moment != self._connected_at:
            moment = self._connected_at
            await self._clock.sleep(SETTLED)
        self._catching_up = False
        for listing in self._lists.all():
            if moment and listing.app in self._called_back:
                self.schedule(self._apps[listing.app], listing.share_kind, moment)
