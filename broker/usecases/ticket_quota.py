"""WeCom's hourly limits of jsapi_tickets, counted over the whole fleet and never reached (wecom-api A5, E).

Whether corp and app tickets count together, and when WeCom's hour begins, is unknown (I3): both kinds are
counted together, and over any sixty minutes, whenever they begin.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.domain.credentials import CredentialKey
from broker.domain.errors import QuotaReserved, StoreUnavailable
from broker.domain.ports import Clock, Tallies

HOUR = timedelta(hours=1)
SLOT = timedelta(minutes=5)
"""The hour is counted in slots; the one that is only partly in it counts whole."""
SLOTS = int(HOUR / SLOT) + 1


@dataclass(frozen=True, slots=True)
class TicketLimit:
    """So many fetches an hour for a corp, or for one app in it."""

    corp_id: str
    agent_id: int
    """0 = the whole corp."""
    most: int

    @property
    def ordinary(self) -> int:
        """Return how many of them are for ordinary renewals: the rest is for whoever says that a ticket is dead."""
        return self.most * 9 // 10

    def slot(self, moment: datetime) -> str:
        """Return the name of the tally that a fetch at that moment belongs to."""
        number = int(moment.timestamp() // SLOT.total_seconds())
        return f"tickets:{self.corp_id}:{self.agent_id}:{number}"


def limits_of(corp_id: str, agent_id: int) -> tuple[TicketLimit, TicketLimit]:
    """Return the limits that a ticket of the app in the corp falls under."""
    return TicketLimit(corp_id, agent_id, 100), TicketLimit(corp_id, 0, 400)


class TicketQuota:
    """Say no before WeCom does."""

    def __init__(self, tallies: Tallies, clock: Clock) -> None:
        self._tallies = tallies
        self._clock = clock
        self._alone: dict[str, int] = {}
        self._seen: dict[TicketLimit, tuple[datetime, float]] = {}

    def highest(self) -> float:
        """Return the highest share of a limit that was used when a ticket was last fetched here, in the last hour."""
        now = self._clock.now()
        self._seen = {limit: seen for limit, seen in self._seen.items() if now - seen[0] < HOUR}
        return max((share for _, share in self._seen.values()), default=0.0)

    async def take(self, key: CredentialKey, *, insists: bool) -> None:
        """Count one fetch of a ticket. Raises `QuotaReserved` where what is left is kept, or nothing is."""
        limits = limits_of(key.corp_id, key.agent_id)
        for limit in limits:
            used = await self.used(limit)
            self._seen[limit] = (self._clock.now(), min(1.0, (used + 1) / limit.most))
            if used >= (limit.most if insists else limit.ordinary):
                raise QuotaReserved(
                    f"{used} of {limit.most} tickets an hour are used up",
                    SLOT,
                    app=key.app,
                    corp_id=key.corp_id,
                    used=used,
                    limit=limit.most,
                )
        now = self._clock.now()
        for limit in limits:
            name = limit.slot(now)
            try:
                await self._tallies.count(name, HOUR + 2 * SLOT)
            except StoreUnavailable:
                self._alone[name] = self._alone.get(name, 0) + 1

    async def used(self, limit: TicketLimit) -> int:
        """Return how many were fetched in the last hour, and a little before."""
        now = self._clock.now()
        names = [limit.slot(now - position * SLOT) for position in range(SLOTS)]
        # What was counted while the store was away was counted here alone.
        self._alone = {name: count for name, count in self._alone.items() if _is_recent(name, now)}
        alone = sum(self._alone.get(name, 0) for name in names)
        try:
            return alone + sum((await self._tallies.counts(names)).values())
        except StoreUnavailable:
            return alone


def _is_recent(name: str, now: datetime) -> bool:
    number = int(name.rpartition(":")[2])
    return number >= int((now - HOUR - SLOT).timestamp() // SLOT.total_seconds())
