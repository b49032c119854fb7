"""One member of a group: what it claimed from the log for its subscriber, until the subscriber reads it."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from broker.domain.events.event import Event
from broker.domain.events.log import Delivery, Member
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.event_groups import EventGroups
from broker.domain.ports.event_log import EventLog

YIELDS_FOR = timedelta(seconds=2)
"""How long a member that lost its events leaves them to others."""

MaySee = Callable[[str, str], bool]
"""Whether the subscriber may see events of an app in a corp."""
MaySeeSome = Callable[[str], bool]
"""Whether the subscriber may see events of an app in any corp."""


class GroupMember:
    """Claim what one subscriber may have of one app.

    After a claim whose outcome is unknown it joins again as a new member: the store may have handed out
    entries that never arrived here, and nobody would ever acknowledge those. The cost is that entries being
    handled may be handed out a second time.
    """

    def __init__(
        self,
        member: Member,
        *,
        log: EventLog[Event],
        groups: EventGroups,
        may_see: MaySee,
        may_see_some: MaySeeSome,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._member = member
        self._log = log
        self._groups = groups
        self._may_see = may_see
        self._may_see_some = may_see_some
        self._clock = clock
        self._randomness = randomness
        self._unread: deque[Delivery[Event]] = deque()
        self._handed_out: deque[str] = deque(maxlen=member.max_in_flight)
        self._yields_until: datetime | None = None
        self._in_doubt = False
        """Whether a claim began whose outcome is unknown."""
        self._was_read = False

    @property
    def has_capacity(self) -> bool:
        """Return whether the subscriber reads: one that does not must not fill the broker's memory.

        It keeps what it holds; once it has lost that to the acknowledgement timeout, it gets nothing more.
        """
        return len(self._unread) <= self._member.max_in_flight // 2

    def read(self) -> Delivery[Event] | None:
        """Return the oldest delivery that was claimed and not read."""
        if not self._unread:
            return None
        self._was_read = True
        return self._unread.popleft()

    async def claim(self) -> bool:
        """Claim what there is, or only show a sign of life; return whether it claimed any.

        Raises `StoreUnavailable`.
        """
        if self._in_doubt:
            await self._join_again()
        self._in_doubt = True
        wants_more = self.has_capacity and not self._yields()
        claimed = await self._log.claim(
            self._member if wants_more else replace(self._member, max_in_flight=0)
        )
        hidden = [delivery.event.position for delivery in claimed if not self._shows(delivery.event)]
        has_lost_its_right = hidden and not self._may_see_some(self._member.app)
        if has_lost_its_right or any(self._comes_back(delivery) for delivery in claimed):
            await self._leave_it_to_others(claimed)
            return False
        self._handed_out += [delivery.event.position for delivery in claimed]
        self._unread += [delivery for delivery in claimed if self._shows(delivery.event)]
        if hidden:
            # All members of a group have the same caller's rights: no other member may see them either. If
            # the caller has no right to the app at all, its stream ends, and the events wait until it has.
            await self._groups.acknowledge(self._member.app, self._member.group, hidden)
        self._in_doubt = False
        return bool(claimed)

    async def release(self, *, counts_as_attempt: bool) -> None:
        """Free what it holds; that counts as an attempt only if the subscriber saw some of it.

        Raises `StoreUnavailable`; releasing it again does no harm.
        """
        await self._release(counts_as_attempt=counts_as_attempt and self._was_read)

    def _comes_back(self, delivery: Delivery[Event]) -> bool:
        """Return whether this member lost that event before, and was only the quickest to claim it again."""
        return delivery.attempts > 0 and delivery.event.position in self._handed_out

    async def _leave_it_to_others(self, claimed: Sequence[Delivery[Event]]) -> None:
        self._yields_until = self._clock.now() + YIELDS_FOR
        await self._join_again(claimed)
        self._in_doubt = False

    async def _join_again(self, unseen: Sequence[Delivery[Event]] = ()) -> None:
        """Join as a new member: nobody would ever acknowledge what was handed out and did not arrive."""
        await self._release(counts_as_attempt=False, unseen=unseen)
        self._unread.clear()
        self._handed_out.clear()
        self._member = replace(self._member, name=self._randomness.unguessable())

    async def _release(self, *, counts_as_attempt: bool, unseen: Sequence[Delivery[Event]] = ()) -> None:
        await self._groups.release(
            self._member.app,
            self._member.group,
            self._member.name,
            counts_as_attempt=counts_as_attempt,
            unseen=[delivery.event.position for delivery in (*self._unread, *unseen)],
        )

    def _yields(self) -> bool:
        """Return whether it leaves events to others; a clock that was set back must not prolong that."""
        left = self._yields_until - self._clock.now() if self._yields_until else timedelta(0)
        return timedelta(0) < left <= YIELDS_FOR

    def _shows(self, event: Event) -> bool:
        return self._may_see(event.app, event.corp_id)
