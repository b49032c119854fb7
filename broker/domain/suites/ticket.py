"""The suite_ticket that WeCom pushes every ten minutes (wecom-api B1)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.domain.secret import Secret

LIFETIME = timedelta(minutes=30)
"""From the push: two missed pushes do no harm (wecom-api B1)."""
PUSH_INTERVAL = timedelta(minutes=10)
CLOCKS_APART = timedelta(minutes=10)
"""How far WeCom's TimeStamp may be from the fleet's clock: what may still work is tried."""


@dataclass(frozen=True, slots=True)
class SuiteTicket:
    """The ticket of one suite; a push with an older TimeStamp loses, whenever it arrives."""

    suite: str
    value: Secret
    pushed_at: datetime
    """WeCom's TimeStamp, in whole seconds."""
    identity: str = ""
    """The suite's (`App.identity`)."""

    @property
    def fence(self) -> int:
        """Return the TimeStamp: the newest ticket wins."""
        return int(self.pushed_at.timestamp())

    @property
    def expires_at(self) -> datetime:
        """Return when WeCom stops accepting it."""
        return self.pushed_at + LIFETIME

    @staticmethod
    def name_of(suite: str) -> str:
        """Return the name of the suite's ticket in stores and notices."""
        return f"suite_ticket:{suite}"

    def reconciled(self, other: "SuiteTicket") -> "SuiteTicket":
        """Return the newer one."""
        return max(self, other, key=lambda ticket: ticket.fence)

    def is_worth_sharing(self, now: datetime) -> bool:
        """Return whether a store that lost it should have it back."""
        return now < self.expires_at
