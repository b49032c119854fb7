"""Events for subscribers: each group gets every event, and each event goes to one member of the group."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from broker.domain.errors import BrokerError, InvalidRequest, StoreUnavailable
from broker.domain.events.event import Event, app_and_position
from broker.domain.events.log import Delivery, Member, topic
from broker.domain.events.positions import position_at, position_before
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.observer import Observer
from broker.usecases.events.group_member import GroupMember, MaySee, MaySeeSome
from broker.usecases.events.subscription import ALIVE_FOR, LOOK_EVERY, EventSubscription
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.notifications import Notifications

READ_BATCH = 100
CLOCK_TOLERANCE = timedelta(milliseconds=100)
"""How far the clocks of the fleet and the store may differ."""
MOST_CONCURRENT_CLAIMS = 8
"""How many claims run at once: one notice wakes every member, and others need the store too."""
MOST_GROUPS = 100
"""How many groups of an app one caller may have: each costs memory in the store and a metrics series."""


@dataclass(frozen=True, slots=True)
class SubscriptionOptions:
    """What a subscriber asks for."""

    apps: tuple[str, ...]
    event_types: frozenset[str]
    replay_from: dict[str, str]
    """The position to start again from, by app."""
    max_in_flight: int
    """How many events of each app are handed out and not acknowledged, at most."""
    ack_timeout: timedelta
    may_see: MaySee
    may_see_some: MaySeeSome
    present: Callable[[], tuple[str, ...]]
    """The apps as the configuration stands now: those named, or all that the caller may have.

    Raises what the subscriber is refused with if one is gone that it named, or all of them are.
    """

    def shows(self, event: Event) -> bool:
        """Return whether the subscriber asked for this event and may see it."""
        wanted = not self.event_types or event.event_type in self.event_types
        return wanted and self.may_see(event.app, event.corp_id)


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    """An open subscription, what changes its apps, and what ends it: with an error, or to be opened again."""

    options: SubscriptionOptions
    take: Callable[[tuple[str, ...]], None]
    end: Callable[[BrokerError | None], None]


class EventFeed:
    """Hand out events and accept acknowledgements. Lives as long as the broker."""

    def __init__(
        self,
        *,
        log: EventLog[Event],
        groups: EventGroups,
        notifications: Notifications,
        clock: Clock,
        randomness: Randomness,
        observer: Observer,
        tasks: Background,
        max_attempts: int,
    ) -> None:
        self._log = log
        self._groups = groups
        self._notifications = notifications
        self._clock = clock
        self._randomness = randomness
        self._observer = observer
        self._tasks = tasks
        self._max_attempts = max_attempts
        self._claims = asyncio.Semaphore(MOST_CONCURRENT_CLAIMS)
        self._closing = False
        self._streams: set[_Stream] = set()

    async def subscribe(
        self, group: str, options: SubscriptionOptions
    ) -> AsyncGenerator[Delivery[Event] | None, None]:
        """Yield None once subscribed, then each delivery for this member of the group.

        Raises `InvalidRequest` for one group too many, and `StoreUnavailable` if it cannot subscribe; later
        outages are waited out.
        """
        async with self._claims:
            await self._open(group, options)

        async def join(app: str) -> GroupMember:
            await self._open_group(app, group)
            return self._member_of(app, group, options)

        def take(apps: tuple[str, ...]) -> None:
            waiter.listen(*map(topic, apps))
            subscription.take(apps)

        members = {app: self._member_of(app, group, options) for app in options.apps}
        with self._notifications.waiter(*map(topic, options.apps)) as waiter:
            subscription = EventSubscription(members, join, waiter, self._claims, self._clock)
            with self._followed(_Stream(options, take, subscription.end)):
                self._tasks.create_task(subscription.run())
                try:
                    await subscription.subscribed()
                    yield None
                    while delivery := await subscription.next():
                        self._observer.event_delivered(delivery.event.app, group, delivery.count - 1)
                        yield delivery
                finally:
                    subscription.leave()

    async def observe(self, options: SubscriptionOptions) -> AsyncGenerator[Delivery[Event] | None, None]:
        """Yield None once subscribed, then every event from now on, or from a position; no state is kept.

        Raises `StoreUnavailable` as `subscribe`.
        """
        now = position_at(self._clock.now() - CLOCK_TOLERANCE)
        seen: dict[str, str] = {}
        apps = options.apps
        ends: list[BrokerError | None] = []

        def take(found: tuple[str, ...]) -> None:
            nonlocal apps
            apps = found
            waiter.listen(*map(topic, apps))
            waiter.ring()

        def end(error: BrokerError | None) -> None:
            ends.append(error)
            waiter.ring()

        stream = _Stream(options, take, end)
        with self._notifications.waiter(*map(topic, options.apps)) as waiter, self._followed(stream):
            await self._log.read(options.apps[0], now, 1)
            yield None
            while not ends:
                found = False
                for app in apps:
                    # Of an app that is added, all since the beginning: other replicas may know it longer.
                    after = seen.setdefault(app, position_before(options.replay_from.get(app, now)))
                    for event in await self._read(app, after):
                        if app not in apps:
                            break
                        found, seen[app] = True, event.position
                        if options.shows(event):
                            yield Delivery(event, 0)
                if not found and not ends:
                    await waiter.wait(LOOK_EVERY, self._clock)
            if ends[0]:
                raise ends[0]

    async def acknowledge(self, group: str, event_ids: Sequence[str], apps: Iterable[str]) -> int:
        """Mark events as handled; return how many were open. Raises `InvalidRequest`, `StoreUnavailable`."""
        positions = _by_app(event_ids, apps)
        return sum([await self._groups.acknowledge(app, group, found) for app, found in positions.items()])

    async def dead(self, group: str, app: str, after: str, limit: int) -> list[Event]:
        """Return the group's dead events, in order. Raises `StoreUnavailable`."""
        return await self._log.dead(app, group, after, limit)

    async def retry(self, group: str, event_ids: Sequence[str], apps: Iterable[str]) -> int:
        """Hand out dead events again; return how many were dead. Raises as `acknowledge`."""
        positions = _by_app(event_ids, apps)
        return sum([await self._groups.retry(app, group, found) for app, found in positions.items()])

    def close(self) -> None:
        """End every subscription: the broker is stopping, and subscribers will find another replica."""
        self._closing = True
        for stream in self._streams:
            stream.end(None)

    def follow(self) -> None:
        """End subscriptions to apps that have no events any more; those to all apps take what is there."""
        for stream in list(self._streams):
            _bring_up_to_date(stream)

    async def _open(self, group: str, options: SubscriptionOptions) -> None:
        for app in options.apps:
            await self._open_group(app, group)
        for app, position in options.replay_from.items():
            await self._groups.rewind(app, group, position)

    async def _open_group(self, app: str, group: str) -> None:
        if not await self._groups.open_group(app, group, most=MOST_GROUPS):
            raise InvalidRequest(
                "group", f"is one more than the {MOST_GROUPS} that a caller may have", app=app
            )

    def _member_of(self, app: str, group: str, options: SubscriptionOptions) -> GroupMember:
        member = Member(
            app=app,
            group=group,
            name=self._randomness.unguessable(),
            event_types=options.event_types,
            max_in_flight=options.max_in_flight,
            ack_timeout=options.ack_timeout,
            alive_for=ALIVE_FOR,
            max_attempts=self._max_attempts,
        )
        return GroupMember(
            member,
            log=self._log,
            groups=self._groups,
            may_see=options.may_see,
            may_see_some=options.may_see_some,
            clock=self._clock,
            randomness=self._randomness,
        )

    async def _read(self, app: str, after: str) -> list[Event]:
        """Return the next events; none while the store is unavailable."""
        try:
            return await self._log.read(app, after, READ_BATCH)
        except StoreUnavailable:
            return []

    @contextmanager
    def _followed(self, stream: _Stream) -> Iterator[None]:
        """Keep a stream up to date, and end it when the broker closes, at once if it is closing already."""
        self._streams.add(stream)
        if self._closing:
            stream.end(None)
        else:
            # The configuration may have changed while it was being opened.
            _bring_up_to_date(stream)
        try:
            yield
        finally:
            self._streams.discard(stream)


def _bring_up_to_date(stream: _Stream) -> None:
    """Have the stream deliver its apps of now; one without any would stay silent for ever."""
    try:
        apps = stream.options.present()
    except BrokerError as error:
        stream.end(error)
    else:
        stream.take(apps)


def _by_app(event_ids: Sequence[str], apps: Iterable[str]) -> dict[str, list[str]]:
    """Return the positions of events by app, without those of apps that are no longer configured."""
    known = frozenset(apps)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for index, given in enumerate(event_ids):
        app, position = app_and_position(f"event_ids[{index}]", given)
        if app in known:
            found[app].append(position)
    return found
