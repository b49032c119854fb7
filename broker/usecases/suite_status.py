"""How each suite is doing on this replica: its ticket, and how many corps it has in which state."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from broker.domain.suites.suite import Suite
from broker.usecases.suites.overview import SuiteAuthorizations
from broker.usecases.suites.tickets import SuiteTickets, TicketStatus


@dataclass(frozen=True, slots=True)
class SuiteStatus:
    """What an operator looks at first."""

    suite: str
    ticket: TicketStatus
    counts: Mapping[str, int]
    """How many rows are in each `ViewState`."""
    next_permission_end: datetime | None
    lost_followed: int = 0
    """How many of the lost ones were followed by an installation, perhaps of the same corp."""


class SuiteStatuses:
    """Look at what is in memory: an operator is answered while the store and WeCom are away."""

    def __init__(
        self, suites: Mapping[str, Suite], tickets: SuiteTickets, authorizations: SuiteAuthorizations
    ) -> None:
        self._suites = suites
        self._tickets = tickets
        self._authorizations = authorizations

    def all(self) -> list[SuiteStatus]:
        """Return the status of every suite, by name."""
        return [self._of(suite) for _, suite in sorted(self._suites.items())]

    def _of(self, suite: Suite) -> SuiteStatus:
        return SuiteStatus(
            suite.name,
            self._tickets.status(suite),
            self._authorizations.counts(suite.name),
            self._authorizations.next_permission_end(suite.name),
            self._authorizations.lost_followed(suite.name),
        )
