"""Event feeds of several replicas on one log in memory, under a clock that only the test moves."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from broker.domain.errors import BrokerError
from broker.domain.events.event import Event
from broker.domain.events.log import Delivery, Lag, Member, Retention, topic
from broker.usecases.events.feed import EventFeed, SubscriptionOptions
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.notifications import Notifications
from tests.kit.memory.fake_clock import FakeClock, settle
from tests.kit.memory.fake_users import CountedChance
from tests.kit.memory.memory_event_log import MemoryEventLog, SharedLogs
from tests.kit.memory.memory_store import MemoryStore, Shared

APP, GROUP = "crm", "orders/all"
KEEP = Retention(timedelta(days=1), 100_000)
MAX_TRIES = 3
ACK_TIMEOUT = timedelta(seconds=60)
EVERYTHING = frozenset[str]()


class FeedObserver:
    """An observer that records what the feed reports."""

    def __init__(self) -> None:
        self.delivered: list[tuple[str, str, int]] = []
        self.lags: list[list[Lag]] = []
        self.failures: list[tuple[str, Exception]] = []

    def event_delivered(self, app: str, group: str, earlier: int) -> None:
        self.delivered.append((app, group, earlier))

    def groups_lag(self, lags: Iterable[Lag]) -> None:
        self.lags.append(list(lags))

    def background_failed(self, what: str, error: Exception) -> None:
        self.failures.append((what, error))


class WatchedLog(MemoryEventLog[Event]):
    """The log of one replica, with its calls recorded; a test may hold back or lose an answer."""

    def __init__(self, store: MemoryStore, shared: SharedLogs[Event]) -> None:
        super().__init__(store, shared)
        self.calls: list[tuple[str, Any]] = []
        self.under_way = 0
        self.most_under_way = 0
        self.gate: asyncio.Event | None = None
        """While it is not set, claims take effect in the log but do not return."""
        self.losing_answers = False

    async def claim(self, member: Member) -> list[Delivery[Event]]:
        self.calls.append(("take", member))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            claimed = await super().claim(member)
            if self.gate:
                await self.gate.wait()
            if self.losing_answers:
                self._store.away = True
                await self._store._reach()
            return claimed
        finally:
            self.under_way -= 1

    async def release(
        self,
        app: str,
        group: str,
        member: str,
        *,
        counts_as_attempt: bool = True,
        unseen: Collection[str] = (),
    ) -> None:
        await super().release(app, group, member, counts_as_attempt=counts_as_attempt, unseen=unseen)
        self.calls.append(("release", (member, counts_as_attempt)))

    @property
    def takes(self) -> list[Member]:
        return [member for name, member in self.calls if name == "take"]

    @property
    def releases(self) -> list[tuple[str, bool]]:
        return [what for name, what in self.calls if name == "release"]


@dataclass
class FeedReplica:
    """The parts of one broker."""

    store: MemoryStore
    log: WatchedLog
    notifications: Notifications
    feed: EventFeed
    observer: FeedObserver

    async def joins(self, group: str = GROUP, **wish: Any) -> "Subscriber":
        """Return a subscriber that reads every event at once."""
        subscriber = Subscriber(self.feed.subscribe(group, options_with(**wish)))
        await settle()
        return subscriber

    async def observes(self, **wish: Any) -> "Subscriber":
        """Return a subscriber that only observes."""
        subscriber = Subscriber(self.feed.observe(options_with(**wish)))
        await settle()
        return subscriber


def options_with(**changes: Any) -> SubscriptionOptions:
    """Return a subscriber's default options, with these changes."""
    apps = changes.get("apps", (APP,))
    usual: dict[str, Any] = {
        "apps": apps,
        "present": lambda: apps,
        "event_types": EVERYTHING,
        "replay_from": {},
        "max_in_flight": 100,
        "ack_timeout": ACK_TIMEOUT,
        "may_see": lambda _app, _corp_id: True,
        "may_see_some": lambda _app: True,
    }
    return SubscriptionOptions(**{**usual, **changes})


@dataclass
class Subscriber:
    """Read a stream to its end, in its own task."""

    stream: AsyncGenerator[Delivery[Event] | None, None]
    got: list[Delivery[Event]] = field(default_factory=list)
    stands: bool = False
    ended: bool = False
    failure: BrokerError | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """The subscriber reads while this is set."""

    def __post_init__(self) -> None:
        self.gate.set()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for delivery in self.stream:
                self.stands = True
                if delivery:
                    self.got.append(delivery)
                    await self.gate.wait()
            self.ended = True
        except BrokerError as error:
            self.failure = error
        finally:
            await self.stream.aclose()

    @property
    def words(self) -> str:
        """Return the words of the events that it got."""
        return " ".join(delivery.event.xml for delivery in self.got)

    @property
    def ids(self) -> list[str]:
        """Return the ids of the events that it got."""
        return [delivery.event.event_id for delivery in self.got]

    def heard(self) -> str:
        """Return the words of the events that it got since the last call."""
        words = self.words
        self.got.clear()
        return words

    async def leaves(self) -> None:
        """End the subscription, as a cancelled call does."""
        self.task.cancel()
        await settle()


class FeedWorld:
    """Replicas on one log. An async context manager."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._shared = Shared(self.clock)
        self._logs = SharedLogs[Event](self.clock)
        self._randomness = CountedChance()
        self._stack = AsyncExitStack()
        self._count = 0

    async def start(self) -> FeedReplica:
        """Start another replica."""
        observer, store = FeedObserver(), MemoryStore(self._shared)
        tasks = await self._stack.enter_async_context(Background(observer, self.clock))  # type: ignore[arg-type]
        log, notifications = WatchedLog(store, self._logs), Notifications(store)
        feed = EventFeed(
            log=log,
            groups=log,
            notifications=notifications,
            clock=self.clock,
            randomness=self._randomness,  # type: ignore[arg-type]
            observer=observer,  # type: ignore[arg-type]
            tasks=tasks,
            max_attempts=MAX_TRIES,
        )
        tasks.keep_running("hearing notices", notifications.run)
        await settle()
        return FeedReplica(store, log, notifications, feed, observer)

    async def append(self, words: str, *, app: str = APP, event_type: str = "text") -> list[str]:
        """Append an event for each word, "<corp><number>" as in "a1 a2 b1"; return their ids."""
        log = WatchedLog(MemoryStore(self._shared), self._logs)
        ids = []
        for word in words.split():
            self._count += 1
            event = self._event(app, word, event_type)
            key, notify = f"key {self._count}", [topic(app)]
            position = await log.append(event, key=key, once_in=timedelta(hours=1), keep=KEEP, notify=notify)
            ids.append(f"{app}:{position}")
        await settle()
        return ids

    def _event(self, app: str, word: str, event_type: str) -> Event:
        now = self.clock.now()
        return Event(app, word[0], None, 0, "", event_type, "", now, now, {}, xml=word)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
