"""WeCom's events about shares, after which they are listed anew.

The events do not say which child came or left (wecom-api C4, G15).
"""

from collections import defaultdict, deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.errors import BrokerError, CorpNotAuthorized, ReauthorizationRequired, UnknownApp
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Notice, NoticeKind
from broker.domain.shares import ListingKey
from broker.domain.suites.installation import CODE_LIFETIME
from broker.usecases.fleet.background import Background
from broker.usecases.limits.recovery_budget import begin_recovery_budget
from broker.usecases.shares.lister import ShareLister
from broker.usecases.shares.lists import ShareLists
from broker.usecases.shares.parents import Parents

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
MINUTE, MOST_A_MINUTE = timedelta(minutes=1), 20
"""How many listings of one kind events may cause: who writes to the store can forge notices of events."""
SETTLED = timedelta(seconds=2)
"""How long replicas take to reconnect after an outage of the store: then one listing serves all."""


ENDED = (CorpNotAuthorized, ReauthorizationRequired)
"""Nothing can be listed; a share may be told of before the exchange of its parent's auth_code is over."""


@dataclass(slots=True)
class Expected:
    """A listing that is needed."""

    moment: datetime
    """It must be begun at this moment or later."""
    events: int = 1
    """How many events asked for it."""


class Relisting:
    """List anew what may have changed: each replica asks for it, and the lease makes it one listing."""

    def __init__(
        self,
        *,
        lists: ShareLists,
        lister: ShareLister,
        parents: Parents,
        clock: Clock,
        observer: Observer,
        called_back: Collection[str],
        tasks: Background,
    ) -> None:
        self._lists = lists
        self._lister = lister
        self._parents = parents
        self._clock = clock
        self._observer = observer
        self._called_back = called_back
        self._tasks = tasks
        self._expected: dict[ListingKey, Expected] = {}
        self._begun: defaultdict[ListingKey, deque[datetime]] = defaultdict(
            lambda: deque(maxlen=MOST_A_MINUTE)
        )
        """When the last listings after events were begun."""
        self._connected_at: datetime | None = None
        self._catching_up = False

    def on_notice(self, notice: Notice) -> None:
        """React to an event about shares, and to a store that was unavailable."""
        if notice.kind is NoticeKind.APPENDED and (listing := ListingKey.read(notice.name)):
            self.schedule_listing(listing, self._moment(notice.fence))
        elif notice.kind is NoticeKind.CONNECTED:
            if self._connected_at and not self._catching_up:
                self._catching_up = True
                self._tasks.create_task(self._catch_up())
            self._connected_at = self._clock.now()

    def schedule(self, app: App, kind: ShareKind, moment: datetime) -> None:
        """Have the shares listed soon, after the moment; a burst of events causes one listing."""
        self.schedule_listing(ListingKey.of(app, kind), moment)

    def schedule_listing(self, listing: ListingKey, moment: datetime) -> None:
        """See `schedule`; the corp that shares a suite may be unknown as yet."""
        if not self._parents.are_listed(listing):
            return
        moment += SKEW
        if expected := self._expected.get(listing):
            expected.moment = max(expected.moment, moment)
            expected.events += 1
        else:
            expected = self._expected[listing] = Expected(moment)
            self._tasks.create_task(self._relist(listing, expected))

    def _moment(self, milliseconds: int) -> datetime:
        """Return when the event came: one moment for all replicas, unless clocks contradict it."""
        now = self._clock.now()
        if abs(now.timestamp() * 1000 - milliseconds) > PROMPT / timedelta(milliseconds=1):
            return now
        return datetime.fromtimestamp(milliseconds / 1000, UTC)

    async def _relist(self, listing: ListingKey, expected: Expected) -> None:
        """List until no event is newer than the listing; a failure is reported once, and tried again."""
        rest = REST
        failed = False
        listed: datetime | None = None
        while listed != expected.moment:
            await self._debounce(expected)
            await self._wait_for_turn(self._begun[listing])
            moment = expected.moment
            error = await self._list(listing, moment)
            if error is None:
                listed, rest, failed = moment, REST, False
                continue
            if isinstance(error, UnknownApp):
                self._begun.pop(listing, None)
                break  # the app is no longer configured
            if isinstance(error, ENDED) and self._clock.now() > moment + CODE_LIFETIME:
                break  # nobody can use the shares; a corp that comes back is listed anew
            if not failed:
                self._observer.background_failed(f"listing the shares of {listing.app} after an event", error)
            failed = True
            requested = error.retry_after if isinstance(error, BrokerError) else None
            await self._clock.sleep(min(max(rest, requested or rest), LONGEST_REST))
            rest = min(rest * 2, LONGEST_REST)
        del self._expected[listing]

    async def _debounce(self, expected: Expected) -> None:
        """Return when the burst is over, or has lasted long enough."""
        for _ in range(PATIENCE):
            events = expected.events
            await self._clock.sleep(QUIET)
            if events == expected.events:
                return

    async def _wait_for_turn(self, begun: deque[datetime]) -> None:
        """Return when another listing may begin, and count it."""
        if len(begun) == MOST_A_MINUTE:
            # Not longer than that where the clock was set back since.
            await self._clock.sleep(min(max(begun[0] + MINUTE - self._clock.now(), timedelta(0)), MINUTE))
        begun.append(self._clock.now())

    async def _list(self, listing: ListingKey, moment: datetime) -> Exception | None:
        begin_recovery_budget()
        try:
            app = await self._parents.sharing(listing)
            await self._lister.list_since(app, listing.share_kind, moment)
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
        if moment:
            await self._list_missed(moment)

    async def _list_missed(self, moment: datetime) -> None:
        missed = [key for key in self._lists.held() if key.app in self._called_back]
        for listing in missed:
            if not listing.parent_corp_id:
                self.schedule_listing(listing, moment)
        for listing in missed:
            # One after the other: thousands of corps may share a suite.
            if listing.parent_corp_id and (error := await self._list(listing, moment)):
                self._observer.background_failed(f"listing the shares of {listing.app}", error)
