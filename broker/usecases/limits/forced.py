"""How many fetches each caller may force in a minute, counted over the whole fleet.

A fetch is forced where the broker holds something valid and calls WeCom all the same, because a caller asked
for it. Whoever reaches the limit waits for the next minute. What the broker finds out itself is nobody's.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from broker.domain.credentials import CredentialKey, CredentialKind
from broker.domain.errors import CallerLimited, StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Counters

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NOBODY = ""
"""The broker itself."""
TICKETS = frozenset({CredentialKind.CORP_TICKET, CredentialKind.AGENT_TICKET})


class ForcedFetches:
    """Count them, or refuse them; without the store, each replica counts its own."""

    def __init__(
        self, counters: Counters, clock: Clock, limit_of: Callable[[str], int | None], observer: Observer
    ) -> None:
        self._counters = counters
        self._clock = clock
        self._limit_of = limit_of
        self._observer = observer
        self._minute = 0
        self._known: Counter[str] = Counter()
        """How many this replica knows of in the minute, by caller."""

    def is_spent(self, caller: str) -> bool:
        """Return whether this replica knows that the caller may force no more in this minute."""
        limit = self._limit_of(caller)
        self._turn()
        return limit is not None and self._known[caller] >= limit

    def check(self, caller: str) -> None:
        """Return unless the caller is known to have none left. Raises `CallerLimited`."""
        if self.is_spent(caller):
            raise self._refusal(caller)

    async def spend(self, caller: str, key: CredentialKey | None = None) -> None:
        """Count a fetch that the caller is about to force. Raises `CallerLimited`."""
        limit = self._limit_of(caller)
        if limit is not None:
            self.check(caller)
            self._known[caller] += 1
            if await self._counted(caller, self._minute) > limit:
                raise self._refusal(caller)
        if caller:
            self._observer.fetch_forced(caller)
        if caller and key and key.kind in TICKETS:
            await self._note(caller, key)

    async def of_tickets(self, corp_id: str, agent_id: int, callers: Iterable[str]) -> dict[str, int]:
        """Return how many tickets of a corp, or of one app in it, each caller had fetched lately.

        That is in this hour of the clock and the last. Raises `StoreUnavailable`.
        """
        hours = [_hour(self._clock.now()) - 1, _hour(self._clock.now())]
        names = {_tally(corp_id, agent_id, caller, hour): caller for caller in callers for hour in hours}
        found: Counter[str] = Counter()
        for name, count in (await self._counters.counts(list(names))).items():
            found[names[name]] += count
        return {caller: count for caller, count in found.most_common() if count}

    async def _note(self, caller: str, key: CredentialKey) -> None:
        """Count whose fetch it was, for operators: under the app's limit, and under the corp's."""
        hour = _hour(self._clock.now())
        with suppress(StoreUnavailable):
            for agent_id in {key.agent_id, 0}:
                await self._counters.count(_tally(key.corp_id, agent_id, caller, hour), 2 * HOUR)

    async def _counted(self, caller: str, minute: int) -> int:
        """Count one more, and return how many the fleet has counted."""
        try:
            count = await self._counters.count(f"forced-by:{caller}:{minute}", 2 * MINUTE)
        except StoreUnavailable:
            return self._known[caller]
        if minute == self._minute:
            self._known[caller] = max(self._known[caller], count)
        return count

    def _turn(self) -> None:
        """Begin a new minute, by the fleet's clock, if it is one; what was known of the last is dropped."""
        minute = int(self._clock.now().timestamp() // 60)
        if minute != self._minute:
            self._minute = minute
            self._known = Counter()

    def _refusal(self, caller: str) -> CallerLimited:
        now = self._clock.now()
        ends = datetime.fromtimestamp((int(now.timestamp() // 60) + 1) * 60, UTC)
        problem = f"{caller} has forced as many fetches as it may in a minute"
        # No shorter than a client's clock can tell.
        wait = max(ends - now, timedelta(milliseconds=1))
        return CallerLimited(problem, wait, caller=caller, limit="forced_per_minute")


def _hour(moment: datetime) -> int:
    return int(moment.timestamp() // HOUR.total_seconds())


def _tally(corp_id: str, agent_id: int, caller: str, hour: int) -> str:
    return f"tickets-of:{corp_id}:{agent_id}:{caller}:{hour}"
