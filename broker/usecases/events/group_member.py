"""One member of a group and the log: what it takes for its subscriber, until that reads it."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from broker.domain.errors import StoreUnavailable
from broker.domain.event_log import Delivery, Entry, Member
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.event_log import EventLog

REST = timedelta(seconds=2)
"""How long who lost its events leaves them to others."""

MaySee = Callable[[str, str], bool]
"""Tells whether the subscriber may see events of an app in a corp."""


class GroupMember:
    """Take what one subscriber may have of one app.

    After a take of which nobody knows how it ended it begins anew: an outage of the store may hand out again
    what is being handled, for nobody would ever acknowledge what was handed out unheard.
    """

    def __init__(
        self, log: EventLog, member: Member, may_see: MaySee, clock: Clock, randomness: Randomness
    ) -> None:
        self._log = log
        self._member = member
        self._may_see = may_see
        self._clock = clock
        self._randomness = randomness
        self._unread: deque[Delivery] = deque()
        self._handed_out: deque[str] = deque(maxlen=member.room)
        self._rests_until: datetime | None = None
        self._in_doubt = False
        """Whether a take began of which nobody knows how it ended."""
        self._was_read = False

    @property
    def has_room(self) -> bool:
        """Tell whether the subscriber reads: one that does not must not fill the broker's memory.

        It keeps what it holds, and once it lost that for its silence it gets no more to lose.
        """
        return len(self._unread) <= self._member.room // 2

    def read(self) -> Delivery | None:
        """Return the oldest that was taken and not read."""
        if not self._unread:
            return None
        self._was_read = True
        return self._unread.popleft()

    async def take(self) -> bool:
        """Take what there is, or only give a sign of life; tell what it was. Raises `StoreUnavailable`."""
        if self._in_doubt:
            await self._begin_anew()
        self._in_doubt = True
        wants_more = self.has_room and not self._rests()
        taken = await self._log.take(self._member if wants_more else replace(self._member, room=0))
        if any(self._comes_back(delivery) for delivery in taken):
            await self._leave_it_to_others()
            return False
        self._handed_out += [delivery.entry.place for delivery in taken]
        self._unread += [delivery for delivery in taken if self._shows(delivery.entry)]
        if hidden := [delivery.entry.place for delivery in taken if not self._shows(delivery.entry)]:
            # Its caller's rights are the group's: no other member may see them either.
            await self._log.acknowledge(self._member.app, self._member.group, hidden)
        self._in_doubt = False
        return bool(taken)

    async def release(self, *, spends: bool) -> None:
        """Free what it holds; it costs a try only where the subscriber got to see something of it."""
        with suppress(StoreUnavailable):  # it counts as gone soon, all the same
            await self._release(spends=spends and self._was_read)

    def _comes_back(self, delivery: Delivery) -> bool:
        """Tell whether it did nothing with that event before: the log told everybody, and it was quickest."""
        return delivery.tries > 0 and delivery.entry.place in self._handed_out

    async def _leave_it_to_others(self) -> None:
        self._rests_until = self._clock.now() + REST
        await self._begin_anew()
        self._in_doubt = False

    async def _begin_anew(self) -> None:
        """Take as another member: what was handed out unheard, nobody would ever acknowledge."""
        await self._release(spends=False)
        self._unread.clear()
        self._handed_out.clear()
        self._member = replace(self._member, name=self._randomness.unguessable())

    async def _release(self, *, spends: bool) -> None:
        await self._log.release(self._member.app, self._member.group, self._member.name, spends=spends)

    def _rests(self) -> bool:
        """Tell whether it leaves events to others; a clock that was set back must not make that last."""
        left = self._rests_until - self._clock.now() if self._rests_until else timedelta(0)
        return timedelta(0) < left <= REST

    def _shows(self, entry: Entry) -> bool:
        return self._may_see(entry.app, entry.corp_id)
