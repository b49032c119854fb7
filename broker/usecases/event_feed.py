"""Events for the services that care: each group has every event, each event goes to one of its members."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from broker.domain.errors import StoreUnavailable
from broker.domain.event_log import Delivery, Entry, EventLog, Member, place_at, place_before
from broker.domain.events import Event, app_and_place
from broker.domain.ports import Chance, Clock, Observer
from broker.usecases.background import Background
from broker.usecases.callback_inbox import log_name
from broker.usecases.event_record import from_entry
from broker.usecases.notice_board import Bell, NoticeBoard

ALIVE_FOR = timedelta(seconds=10)
"""After so long without a sign of its replica a member counts as gone."""
LOOK_EVERY = timedelta(seconds=2)
"""How often a member looks without having been told: its sign of life, and the net under a lost notice."""
BATCH = 100
BLINK = timedelta(milliseconds=100)
"""How much the clocks of fleet and store may differ."""

MaySee = Callable[[str, str], bool]
"""Tells whether the subscriber may see events of an app in a corp."""


@dataclass(frozen=True, slots=True)
class Wish:
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
        board: NoticeBoard,
        clock: Clock,
        chance: Chance,
        observer: Observer,
        tasks: Background,
        max_tries: int,
    ) -> None:
        self._log = log
        self._board = board
        self._clock = clock
        self._chance = chance
        self._observer = observer
        self._tasks = tasks
        self._max_tries = max_tries
        self._closing = False
        self._bells: set[Bell] = set()

    async def subscribe(self, group: str, wish: Wish) -> AsyncGenerator[Delivery | None, None]:
        """Yield None once the subscription stands, then what this member of the group is to handle.

        Raises `StoreUnavailable` only before that: later outages are waited out.
        """
        for app, place in wish.replay_from.items():
            await self._log.rewind(app, group, place)
        members = [self._member(app, group, wish) for app in wish.apps]
        ready: asyncio.Queue[Delivery | None] = asyncio.Queue()
        with self._bell(wish.apps) as bell:
            try:
                for member in members:
                    await self._take(member, wish.may_see, ready)
                yield None
                # Taking goes on while the subscriber reads slowly: it is the member's sign of life.
                taking = asyncio.create_task(self._keep_taking(members, wish.may_see, ready, bell))
                try:
                    while delivery := await ready.get():
                        self._observer.event_delivered(delivery.entry.app, group, delivery.tries)
                        yield delivery
                    await taking
                finally:
                    taking.cancel()
            finally:
                for member in members:
                    self._tasks.create_task(self._release(member))

    async def look_on(self, wish: Wish) -> AsyncGenerator[Delivery | None, None]:
        """Yield None once it stands, then every event from now on, or from a place; nothing is kept of it.

        Raises `StoreUnavailable` as `subscribe`.
        """
        now = place_at(self._clock.now() - BLINK)
        seen = {app: place_before(wish.replay_from.get(app, now)) for app in wish.apps}
        with self._bell(wish.apps) as bell:
            entries = await self._read(wish, seen)
            yield None
            while not self._closing:
                for entry in entries:
                    yield Delivery(entry, 0)
                if not entries:
                    await bell.wait(LOOK_EVERY, self._clock)
                try:
                    entries = await self._read(wish, seen)
                except StoreUnavailable:
                    entries = []

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
        for bell in self._bells:
            bell.ring()

    def _member(self, app: str, group: str, wish: Wish) -> Member:
        return Member(
            app=app,
            group=group,
            name=self._chance.unguessable(),
            event_types=wish.event_types,
            room=wish.room,
            ack_timeout=wish.ack_timeout,
            alive_for=ALIVE_FOR,
            max_tries=self._max_tries,
        )

    async def _keep_taking(
        self, members: list[Member], may_see: MaySee, ready: asyncio.Queue[Delivery | None], bell: Bell
    ) -> None:
        """Take for all members until the broker closes; an outage of the store is waited out."""
        try:
            while not self._closing:
                took = False
                for member in members:
                    with suppress(StoreUnavailable):
                        took |= await self._take(member, may_see, ready)
                if not took:
                    await bell.wait(LOOK_EVERY, self._clock)
        finally:
            ready.put_nowait(None)

    async def _take(self, member: Member, may_see: MaySee, ready: asyncio.Queue[Delivery | None]) -> bool:
        deliveries = await self._log.take(member)
        hidden = [found.entry for found in deliveries if not may_see(member.app, found.entry.corp_id)]
        if hidden:
            # Its caller's rights are the group's: no other member may see them either.
            await self._log.acknowledge(member.app, member.group, [entry.place for entry in hidden])
        for delivery in deliveries:
            if delivery.entry not in hidden:
                ready.put_nowait(delivery)
        return bool(deliveries)

    async def _release(self, member: Member) -> None:
        try:
            await self._log.release(member.app, member.group, member.name)
        except StoreUnavailable as error:
            # It counts as gone soon, all the same.
            self._observer.background_failed(f"releasing events of {member.group}", error)

    async def _read(self, wish: Wish, seen: dict[str, str]) -> list[Entry]:
        """Return the next entries that are to be seen, and note how far was read."""
        found = []
        for app in wish.apps:
            while batch := await self._log.read(app, seen[app], BATCH):
                seen[app] = batch[-1].place
                found += [entry for entry in batch if wish.shows(entry)]
                if len(batch) < BATCH or len(found) >= BATCH:
                    break
        return found

    @contextmanager
    def _bell(self, apps: Iterable[str]) -> Iterator[Bell]:
        """Listen for events of the apps, and for the end."""
        with self._board.bell(*map(log_name, apps)) as bell:
            self._bells.add(bell)
            try:
                yield bell
            finally:
                self._bells.discard(bell)


def _by_app(event_ids: Sequence[str], apps: Iterable[str]) -> dict[str, list[str]]:
    """Return the places of events by app; those of apps that are no longer there are nobody's."""
    known = frozenset(apps)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for position, given in enumerate(event_ids):
        app, place = app_and_place(f"event_ids[{position}]", given)
        if app in known:
            found[app].append(place)
    return found
