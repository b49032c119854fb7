"""The suite_ticket that WeCom pushes, without which nothing of a suite can be fetched (wecom-api B1)."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.domain.credentials import CredentialKey
from broker.domain.errors import StoreUnavailable, SuiteTicketMissing
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection
from broker.domain.ports.suite_observer import SuiteObserver
from broker.domain.secret import Secret
from broker.domain.suites.suite import Suite
from broker.domain.suites.ticket import CLOCKS_APART, LIFETIME, PUSH_INTERVAL, SuiteTicket
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.limits.error_cache import ErrorCache

LOOK_INTERVAL = timedelta(seconds=15)
"""How often the age of the tickets is looked at."""
LATE = 2 * PUSH_INTERVAL + timedelta(minutes=2)
"""Two pushes are overdue: the ticket is about to end."""


@dataclass(frozen=True, slots=True)
class TicketStatus:
    """What an operator sees of a suite's ticket."""

    pushed_at: datetime | None
    expires_at: datetime | None
    problem: str
    """What is wrong, and what to do; "" if nothing is."""


class SuiteTickets:
    """Hold the newest ticket of each suite; the store has it for replicas that start."""

    def __init__(
        self,
        suites: Mapping[str, Suite],
        tickets: Collection[str, SuiteTicket],
        error_cache: ErrorCache,
        clock: Clock,
        observer: SuiteObserver,
    ) -> None:
        self._suites = suites
        self._tickets = tickets
        self._error_cache = error_cache
        self._clock = clock
        self._observer = observer
        self._memory: dict[str, SuiteTicket] = {}
        self.replicated: Replicated[str, SuiteTicket] = Replicated(tickets, self, clock)

    def held(self) -> Iterable[str]:
        """See `Copies.held`: after a lost connection, any suite may have a new ticket."""
        return list(self._suites)

    def key_named(self, name: str) -> str | None:
        """See `Copies.key_named`."""
        suite = name.partition(":")[2]
        return suite if suite in self._suites and SuiteTicket.name_of(suite) == name else None

    def get(self, key: str) -> SuiteTicket | None:
        """See `Copies.get`."""
        return self._memory.get(key)

    async def adopt(self, value: SuiteTicket) -> None:
        """See `Copies.adopt`."""
        held = self._memory.get(value.suite)
        if value.suite in self._suites and (held is None or held.fence < value.fence):
            self._memory[value.suite] = value

    def drop(self, key: str) -> None:
        """See `Copies.drop`."""
        self._memory.pop(key, None)

    def end(self, suite: str) -> None:
        """Forget the ticket of a suite that is not configured any more."""
        self._memory.pop(suite, None)
        self._observer.suite_ended(suite)

    async def take(self, suite: Suite, value: Secret, pushed_at: datetime) -> bool:
        """Keep a ticket durably if it is the newest by WeCom's TimeStamp; return whether it is.

        Raises `StoreUnavailable`: WeCom must push it again.
        """
        now = self._clock.now()
        # A TimeStamp far ahead would keep out every later ticket.
        pushed_at = pushed_at if pushed_at <= now + PUSH_INTERVAL else now
        ticket = SuiteTicket(suite.name, value, pushed_at, suite.identity)
        held = self._memory.get(suite.name)
        is_newest = (held is None or held.fence < ticket.fence) and await self._tickets.supplant(ticket)
        if is_newest:
            await self.replicated.adopt(ticket)
            # A fetch that failed for lack of a ticket is tried again at once.
            await self._error_cache.lift(CredentialKey.suite_token(suite).name)
        self._observer.ticket_pushed(suite.name, is_newest=is_newest)
        return is_newest

    async def current(self, suite: Suite) -> SuiteTicket:
        """Return a ticket that WeCom may still take. Raises `SuiteTicketMissing`, `StoreUnavailable`."""
        ticket = self._memory.get(suite.name)
        if ticket is None or self._is_over(ticket):
            ticket = await self.replicated.look(suite.name)
        if ticket is None or self._is_over(ticket):
            raise self._missing(suite, ticket, self._problem(suite, ticket))
        return ticket

    async def after(self, suite: Suite, refused: SuiteTicket, error: SuiteTicketMissing) -> SuiteTicket:
        """Return a newer ticket than the one that WeCom refused. Raises `SuiteTicketMissing`."""
        with suppress(StoreUnavailable):
            await self.replicated.look(suite.name)
        held = self._memory.get(suite.name)
        if held and held.fence > refused.fence:
            return held
        pushed = refused.pushed_at.isoformat(timespec="seconds")
        problem = f"WeCom refuses the last suite_ticket of {suite.name}, pushed {pushed}: {_remedy(suite)}"
        raise self._missing(suite, refused, problem, **error.metadata) from None

    def status(self, suite: Suite) -> TicketStatus:
        """Return what is known of the suite's ticket, and what is wrong with it."""
        ticket, now = self._memory.get(suite.name), self._clock.now()
        if ticket is None:
            return TicketStatus(None, None, self._problem(suite, None))
        problem = "" if now < ticket.pushed_at + LATE else self._problem(suite, ticket)
        return TicketStatus(ticket.pushed_at, ticket.expires_at, problem)

    async def run(self) -> None:
        """Report tickets that are missing, or about to end, for ever."""
        # A broker that starts, and its store, may not have heard of the last one yet.
        await self._clock.sleep(LOOK_INTERVAL)
        while True:
            for suite in self._suites.values():
                status = self.status(suite)
                self._observer.ticket_looked_at(suite.name, status.expires_at, status.problem)
            await self._clock.sleep(LOOK_INTERVAL)

    def _is_over(self, ticket: SuiteTicket) -> bool:
        return ticket.expires_at + CLOCKS_APART <= self._clock.now()

    def _missing(
        self, suite: Suite, ticket: SuiteTicket | None, problem: str, **said: str
    ) -> SuiteTicketMissing:
        last = ticket.pushed_at.isoformat() if ticket else ""
        about = {"app": suite.name, "suite_id": suite.suite_id, "last_ticket_time": last}
        return SuiteTicketMissing(problem, **{**said, **about})

    def _problem(self, suite: Suite, ticket: SuiteTicket | None) -> str:
        remedy = _remedy(suite)
        if ticket is None:
            return f"no suite_ticket of {suite.name} has ever arrived: {remedy}"
        lateness = "has ended" if ticket.expires_at <= self._clock.now() else "is about to end"
        minutes = LIFETIME // timedelta(minutes=1)
        pushed = ticket.pushed_at.isoformat(timespec="seconds")
        return (
            f"the suite_ticket of {suite.name}, pushed {pushed} for {minutes} minutes, {lateness}: {remedy}"
        )


def _remedy(suite: Suite) -> str:
    where = f"/callback/{suite.name}"
    return f"press refresh (刷新ticket) in the provider console, and check that WeCom reaches {where}"
