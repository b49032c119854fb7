"""suite_tickets: each replaces the one before, which is accepted for a while longer."""

from dataclasses import dataclass, field

from broker.simulator.world.randomness import Randomness
from broker.simulator.world.settings import Settings


@dataclass(frozen=True, slots=True)
class SuiteTicket:
    """Hold one suite_ticket."""

    value: str = field(repr=False)
    issued_at: float


class SuiteTickets:
    """Hold the latest tickets of each suite."""

    def __init__(self, settings: Settings, randomness: Randomness) -> None:
        self._settings = settings
        self._randomness = randomness
        self._tickets: dict[str, list[SuiteTicket]] = {}

    def issue(self, suite_id: str, now: float) -> SuiteTicket:
        """Make a new ticket, whether or not it arrives."""
        ticket = SuiteTicket(self._randomness.ticket(), now)
        self._tickets[suite_id] = [*self._living(suite_id, now), ticket]
        return ticket

    def accepts(self, suite_id: str, value: str, now: float) -> bool:
        """Return whether this is one of the newest tickets, and not too old."""
        most = self._settings.suite_tickets_accepted
        living = self._living(suite_id, now)
        newest = living if most is None else living[-most:]
        return any(ticket.value == value for ticket in newest)

    def _living(self, suite_id: str, now: float) -> list[SuiteTicket]:
        oldest = now - self._settings.suite_ticket_lifetime
        return [ticket for ticket in self._tickets.get(suite_id, []) if ticket.issued_at > oldest]
