"""jsapi_tickets: the corp's and the app's, their hourly limits, and the check of a page's signature."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from broker.simulator.answers import Refusal
from broker.simulator.crypto import page_signature
from broker.simulator.world.corps import AppId
from broker.simulator.world.limits import Counters, Quota
from broker.simulator.world.settings import Settings
from broker.simulator.world.shares import Owner
from broker.simulator.world.tokens import Grant, TokenBook, TokenKind

_HOUR = 3600.0
# A ticket is never sent in a query.
_JsapiTicket = TokenKind("", missing=0, invalid=42012)


class TicketKind(StrEnum):
    """Name what a ticket is for: wx.config takes the corp's, agentConfig the app's."""

    CORP = "corp"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class SignedPage:
    """Hold what a page gives to the JS-SDK."""

    nonce: str
    timestamp: int
    url: str
    signature: str

    def fits(self, ticket: str) -> bool:
        """Return whether that ticket made the signature."""
        expected = page_signature(ticket, self.nonce, self.timestamp, self.url)
        return hmac.compare_digest(expected.encode(), self.signature.encode())


class Tickets:
    """Hold every ticket; a corp's ticket is the same for all its apps."""

    def __init__(self, mint: Callable[[], str], settings: Settings) -> None:
        self._books = {kind: TokenBook(mint) for kind in TicketKind}
        self._settings = settings
        self.counters = Counters()

    def spend(self, kind: TicketKind, app: AppId, now: float) -> None:
        """Count one fetch for the corp and for the app; refuse it above the limit."""
        # Whether the two kinds count together is unknown (wecom-api I3): a setting decides.
        counted = "all" if self._settings.tickets_count_together else kind
        of_app = Quota(self._settings.tickets_an_hour_of_an_app, _HOUR)
        of_corp = Quota(self._settings.tickets_an_hour_of_a_corp, _HOUR)
        if not self.counters.spend((counted, app), of_app, now):
            raise Refusal(45009)
        if not self.counters.spend((counted, app.corpid), of_corp, now):
            raise Refusal(45009)

    def grant(self, kind: TicketKind, app: AppId, path: str, now: float) -> Grant:
        """Answer a fetch by the endpoint's habit."""
        return self._books[kind].grant(
            _JsapiTicket,
            Owner(_holder(kind, app)),
            habit=self._settings.habit_of(path),
            now=now,
            lifetime=self._settings.ticket_lifetime,
            old_value_alive=self._settings.old_value_alive,
        )

    def latest(self, kind: TicketKind | str, app: AppId) -> str:
        """Return the ticket that was handed out last, dead or alive. Raises LookupError."""
        if (ticket := self._books[TicketKind(kind)].latest(Owner(_holder(TicketKind(kind), app)))) is None:
            raise LookupError(f"no {kind} ticket of {app.corpid}, {app.agentid} was fetched")
        return ticket.value

    def kill(self, value: str) -> bool:
        """Kill one ticket early; return whether it was known."""
        return any(book.kill(value) for book in self._books.values())

    def kill_all(self, kind: TicketKind, app: AppId, now: float) -> int:
        """Kill the living tickets of an app, or of its corp; return how many."""
        return self._books[kind].kill_app(_holder(kind, app), now)

    def errcode_of(self, kind: TicketKind, app: AppId, signed: SignedPage, now: float) -> int:
        """Check a page's signature: 0, 42012 where the other kind of ticket made it, otherwise 40093."""
        for tried in (kind, *(other for other in TicketKind if other is not kind)):
            living = self._books[tried].alive(_holder(tried, app), now)
            if any(signed.fits(ticket.value) for ticket in living):
                return 0 if tried is kind else 42012
        return 40093


def _holder(kind: TicketKind, app: AppId) -> AppId:
    return app if kind is TicketKind.AGENT else AppId(app.corpid, 0)
