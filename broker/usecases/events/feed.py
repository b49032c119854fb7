"""Events for the services that care: each group has every event, each event goes to one of its members."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from broker.domain.errors import InvalidRequest, StoreUnavailable
from broker.domain.event_log import Delivery, Entry, Member, log_name
from broker.domain.event_positions import place_at, place_before
from broker.domain.events import Event, app_and_place
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.observer import Observer
from broker.usecases.events.group_member import GroupMember, MaySee
from broker.usecases.events.record import from_entry
from broker.usecases.events.subscription import LOOK_EVERY, EventSubscription
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.notifications import Notifications

ALIVE_FOR = timedelta(seconds=10)
"""After so long without a sign of its replica a member counts as gone."""
BATCH = 100
BLINK = timedelta(milliseconds=100)
"""How much the clocks of fleet and store may differ."""
AT_ONCE = 8
"""How many takes are under way together: one notice wakes everybody, and others need the store too."""
MOST_GROUPS = 100
"""How many groups of an app one caller may have: each costs memory in the store, and a line of metrics."""


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """What a subscriber asks for."""

    apps: tuple[str, ...]
    event_types: frozenset[str]
    replay_from: dict[str, str]
    """The place to begin anew with, by app."""
    room: int
    """How many events of each app are handed out and not acknowledged, at most."""
    ack_timeout: timedelta
    may_see: MaySee

    def shows(self, entry: Entry) -> bool:
        """Tell whether the subscriber asked for this entry and may see it."""
        wanted = not self.event_types or entry.event_type in self.event_types
        return wanted and self.may_see(entry.app, entry.corp_id)


class EventFeed:
    """Hand events out, and take acknowledgements. Lives as long as the broker."""

    def __init__(
        self,
        *,
        log: EventLog,
        notifications: Notifications,
        clock: Clock,
        randomness: Randomness,
        observer: Observer,
        tasks: Background,
        max_tries: int,
    ) -> None:
        self._log = log
        self._notifications = notifications
        self._clock = clock
        self._randomness = randomness
        self._observer = observer
        self._tasks = tasks
        self._max_tries = max_tries
        self._few = asyncio.Semaphore(AT_ONCE)
        self._closing = False
        self._endings: set[Callable[[], None]] = set()

    async def subscribe(self, group: str, wish: SubscriptionOptions) -> AsyncGenerator[Delivery | None, None]:
        """Yield None once the subscription stands, then what this member of the group is to handle.

        Raises `InvalidRequest` for one group too many, and `StoreUnavailable`: only before it stands, later
        outages are waited out.
        """
        async with self._few:
            await self._open(group, wish)
        takers = [
            GroupMember(
                self._log, self._member(app, group, wish), wish.may_see, self._clock, self._randomness
            )
            for app in wish.apps
        ]
        with self._notifications.waiter(*map(log_name, wish.apps)) as waiter:
            subscription = EventSubscription(takers, waiter, self._few, self._clock)
            with self._ended_by(subscription.close):
                self._tasks.create_task(subscription.run())
                try:
                    await subscription.stands()
                    yield None
                    while delivery := await subscription.next():
                        self._observer.event_delivered(delivery.entry.app, group, delivery.tries)
                        yield delivery
                finally:
                    subscription.leave()

    async def look_on(self, wish: SubscriptionOptions) -> AsyncGenerator[Delivery | None, None]:
        """Yield None once it stands, then every event from now on, or from a place; nothing is kept of it.

        Raises `StoreUnavailable` as `subscribe`.
        """
        now = place_at(self._clock.now() - BLINK)
        seen = {app: place_before(wish.replay_from.get(app, now)) for app in wish.apps}
        with self._notifications.waiter(*map(log_name, wish.apps)) as waiter, self._ended_by(waiter.ring):
            await self._log.read(wish.apps[0], seen[wish.apps[0]], 1)
            yield None
            while not self._closing:
                found = False
                for app in wish.apps:
                    for entry in await self._read(app, seen[app]):
                        found, seen[app] = True, entry.place
                        if wish.shows(entry):
                            yield Delivery(entry, 0)
                if not found:
                    await waiter.wait(LOOK_EVERY, self._clock)

    async def acknowledge(self, group: str, event_ids: Sequence[str], apps: Iterable[str]) -> int:
        """Mark events as handled; return how many were not. Raises `InvalidRequest`, `StoreUnavailable`."""
        places = _by_app(event_ids, apps)
        return sum([await self._log.acknowledge(app, group, found) for app, found in places.items()])

    async def dead(self, group: str, app: str, after: str, limit: int) -> list[Event]:
        """Return events that the group gave up, in order. Raises `StoreUnavailable`."""
        return [from_entry(entry) for entry in await self._log.dead(app, group, after, limit)]

    async def retry(self, group: str, event_ids: Sequence[str], apps: Iterable[str]) -> int:
        """Hand given up events out again; return how many were. Raises as `acknowledge`."""
        places = _by_app(event_ids, apps)
        return sum([await self._log.retry(app, group, found) for app, found in places.items()])

    def close(self) -> None:
        """End every subscription: the broker stops, and the subscribers will find another."""
        self._closing = True
        for end in self._endings:
            end()

    async def _open(self, group: str, wish: SubscriptionOptions) -> None:
        for app in wish.apps:
            if not await self._log.open_group(app, group, most=MOST_GROUPS):
                raise InvalidRequest(
                    "group", f"is one more than the {MOST_GROUPS} that a caller may have", app=app
                )
        for app, place in wish.replay_from.items():
            await self._log.rewind(app, group, place)

    def _member(self, app: str, group: str, wish: SubscriptionOptions) -> Member:
        return Member(
            app=app,
            group=group,
            name=self._randomness.unguessable(),
            event_types=wish.event_types,
            room=wish.room,
            ack_timeout=wish.ack_timeout,
            alive_for=ALIVE_FOR,
            max_tries=self._max_tries,
        )

    async def _read(self, app: str, after: str) -> list[Entry]:
        """Return the next entries, none while the store is away."""
        try:
            return await self._log.read(app, after, BATCH)
        except StoreUnavailable:
            return []

    @contextmanager
    def _ended_by(self, end: Callable[[], None]) -> Iterator[None]:
        """Have a stream ended when the broker closes, at once if it does so already."""
        self._endings.add(end)
        if self._closing:
            end()
        try:
            yield
        finally:
            self._endings.discard(end)


def _by_app(event_ids: Sequence[str], apps: Iterable[str]) -> dict[str, list[str]]:
    """Return the places of events by app; those of apps that are no longer there are nobody's."""
    known = frozenset(apps)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for position, given in enumerate(event_ids):
        app, place = app_and_place(f"event_ids[{position}]", given)
        if app in known:
            found[app].append(place)
    return found
