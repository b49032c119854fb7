"""WeCom's hourly limits of jsapi_tickets, counted over the whole fleet and never reached (wecom-api A5, E).

Renewals ahead of time leave a tenth. Reports and refreshes may use up to half of a limit, and leave a
twentieth: a ticket that nobody has yet is fetched whatever callers report.

Whether corp and app tickets count together, and when WeCom's hour begins, is unknown (wecom-api I3): the
broker counts both kinds together, over any sixty minutes. Replicas that count at the same moment get their
numbers from the store, so that none exceeds a limit unnoticed. Without the store each replica counts
only its own fetches, including earlier ones. A fetch that did not reach WeCom counts no more.
"""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from operator import add

from broker.domain.credentials import CredentialKey, Need
from broker.domain.errors import QuotaReserved, StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Counters
from broker.domain.ports.wecom import GiveBack
from broker.usecases.limits.slot_counts import SlotCounts

HOUR = timedelta(hours=1)
SLOT = timedelta(minutes=5)
"""The hour is counted in slots; a slot that is only partly within the hour counts in full."""
SLOTS = int(HOUR / SLOT) + 1
KEPT = HOUR + 2 * SLOT
"""How long a slot is counted."""

ALL = 20
PARTS = {Need.RENEWAL: 18, Need.REPLACEMENT: 19, Need.FIRST: ALL}
"""How many twentieths of a limit may be used up after a fetch for that need."""


@dataclass(frozen=True, slots=True)
class TicketLimit:
    """How many fetches an hour are allowed for a corp, or for one app in it."""

    corp_id: str
    agent_id: int
    """0 = the whole corp."""
    most: int
    of_replacements: bool = False
    """Whether only those are counted: it is the broker's own limit, not WeCom's."""

    def bound(self, need: Need) -> int:
        """Return how many there may be after a fetch for that need."""
        if self.of_replacements:
            return self.most
        return self.most * PARTS[need] // ALL

    @property
    def counted(self) -> str:
        """Return what is counted, in words."""
        return "replacements of tickets" if self.of_replacements else "tickets"

    @property
    def replacements(self) -> "TicketLimit":
        """Return how many of those may replace what is held."""
        return replace(self, most=self.most // 2, of_replacements=True)

    @property
    def name(self) -> str:
        """Return what its fetches are counted under, in each slot."""
        kind = "replaced-tickets" if self.of_replacements else "tickets"
        return f"{kind}:{self.corp_id}:{self.agent_id}"


def limits_of(corp_id: str, agent_id: int) -> tuple[TicketLimit, ...]:
    """Return the limits that a ticket of the app in the corp falls under; 0 = an app without agent id."""
    of_corp = TicketLimit(corp_id, 0, 400)
    return (TicketLimit(corp_id, agent_id, 100), of_corp) if agent_id else (of_corp,)


@dataclass(frozen=True, slots=True)
class Taken:
    """One fetch, and where it was counted."""

    slot: int
    limits: tuple[TicketLimit, ...]
    counted: list[str] = field(default_factory=list)
    """The names under which the store counted it."""
    uncounted: list[str] = field(default_factory=list)
    """The names of limits for which the store was unavailable."""


class TicketQuota:
    """Refuse fetches before WeCom would."""

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self._counters = counters
        self._clock = clock
        # One more than is asked for: a slot that another replica has begun already.
        self._own = SlotCounts(SLOTS + 1)
        """What this replica fetched, by the limit's name."""
        self._uncounted = SlotCounts(SLOTS + 1)
        """How many of those the store did not count, because it was unavailable."""
        self._highest: deque[tuple[datetime, float]] = deque()
        """Shares of limits that were used, each lower than those before it: see `highest`."""

    def highest(self) -> float:
        """Return the highest share of a limit that was used, as seen here in the last hour."""
        begins = self._clock.now() - HOUR
        while self._highest and self._highest[0][0] <= begins:
            self._highest.popleft()
        return self._highest[0][1] if self._highest else 0.0

    async def take(self, key: CredentialKey, need: Need) -> GiveBack:
        """Count one fetch of a ticket; return what to call if it does not reach WeCom.

        Raises `QuotaReserved` if the rest is reserved, or nothing is left.
        """
        limits = limits_of(key.corp_id, key.agent_id)
        if need is Need.REPLACEMENT:
            limits = (*(limit.replacements for limit in limits), *limits)
        for limit in limits:
            used = await self._slots(limit)
            self._check(key, limit, [*used, 1], need)
        # Replicas that passed the check together are ordered by the counter; the surplus backs off.
        taken = Taken(_slot(self._clock.now()), limits)
        for limit in limits:
            self._own.add(limit.name, taken.slot)
        try:
            for limit in limits:
                own = self._own.of(limit.name, self._hour())
                place = await self._count(limit, taken)
                others = await self._slots(limit, but=taken.slot)
                self._check(key, limit, max(own, [*others, place], key=sum), need)
        except QuotaReserved:
            await self._give_back(taken)
            raise
        return partial(self._give_back, taken)

    async def used(self, limit: TicketLimit) -> int:
        """Return how many were fetched in the last hour, and a little before."""
        return sum(await self._slots(limit))

    def _check(self, key: CredentialKey, limit: TicketLimit, slots: list[int], need: Need) -> None:
        """Refuse the fetch if, with it, there are too many. Raises `QuotaReserved`."""
        now, used = self._clock.now(), sum(slots)
        bound = limit.bound(need)
        if not limit.of_replacements:
            self._note_use(now, min(used, bound) / limit.most)
        if used > bound:
            raise QuotaReserved(
                f"{used - 1} of {limit.most} {limit.counted} an hour are used up",
                _until_free(slots, bound, now),
                app=key.app,
                corp_id=key.corp_id,
                used=used - 1,
                limit=limit.most,
            )

    def _note_use(self, now: datetime, share: float) -> None:
        # What is lower and older than this one is never the highest any more.
        while self._highest and self._highest[-1][1] <= share:
            self._highest.pop()
        self._highest.append((now, share))

    async def _count(self, limit: TicketLimit, taken: Taken) -> int:
        """Count one, and return its place in the slot; note whether the store counted it."""
        name, slot = _tally(limit, taken.slot), taken.slot
        try:
            # Read before it is counted: whoever backs off later may have been counted after it.
            gone = (await self._counters.counts([_backed_off(name)]))[_backed_off(name)]
            place = max(1, await self._counters.count(name, KEPT) - gone)
        except StoreUnavailable:
            self._uncounted.add(limit.name, slot)
            taken.uncounted.append(limit.name)
            return self._own.of(limit.name, [slot])[0]
        taken.counted.append(name)
        return place + self._uncounted.of(limit.name, [slot])[0]

    async def _give_back(self, taken: Taken) -> None:
        """Count it no more; what the store counted is counted beside it, since counters only go up.

        Until then, or without the store, there seem to be more than there were: that refuses too much, never
        too little.
        """
        for limit in taken.limits:
            self._own.add(limit.name, taken.slot, -1)
        for name in taken.uncounted:
            self._uncounted.add(name, taken.slot, -1)
        with suppress(StoreUnavailable):
            for name in taken.counted:
                await self._counters.count(_backed_off(name), KEPT)

    async def _slots(self, limit: TicketLimit, but: int | None = None) -> list[int]:
        """Return how many were fetched in each slot, the oldest first; 0 for the slot `but`."""
        hour = self._hour()
        names = [_tally(limit, slot) for slot in hour]
        own = _without(but, hour, self._own.of(limit.name, hour))
        try:
            counted = await self._counters.counts([*names, *map(_backed_off, names)])
        except StoreUnavailable:
            return own
        sent = [max(0, counted[name] - counted[_backed_off(name)]) for name in names]
        together = list(map(add, sent, self._uncounted.of(limit.name, hour)))
        # A store that lost its data knows less than this replica.
        return max(_without(but, hour, together), own, key=sum)

    def _hour(self) -> range:
        """Return the slots of the hour, oldest first, and the next: another replica may have begun it."""
        slot = _slot(self._clock.now())
        return range(slot - SLOTS + 1, slot + 2)


def _tally(limit: TicketLimit, slot: int) -> str:
    """Return the name of what counts the fetches in that slot."""
    return f"{limit.name}:{slot}"


def _without(but: int | None, hour: range, counts: list[int]) -> list[int]:
    """Return the counts with 0 for the slot `but`."""
    return [0 if slot == but else count for slot, count in zip(hour, counts, strict=True)]


def _backed_off(name: str) -> str:
    return f"backed-off:{name}"


def _slot(moment: datetime) -> int:
    return int(moment.timestamp() // SLOT.total_seconds())


def _until_free(slots: list[int], bound: int, now: datetime) -> timedelta:
    """Return how long until so many of the oldest have left the hour that one more may be fetched."""
    left, position = sum(slots), -1
    while left > bound and position < SLOTS - 1:
        position += 1
        left -= slots[position]
    leaves = (_slot(now) + position + 1) * SLOT.total_seconds()
    return timedelta(seconds=leaves - now.timestamp())
