"""Errors that stay true for a while, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.domain.closed_endpoints import ClosedEndpoint
from broker.domain.credentials import CredentialKey
from broker.domain.errors import BrokerError, RetryLater
from broker.domain.shares import ListingKey

PREFIX = "refusal:"
AHEAD = timedelta(minutes=1)
"""How far the clocks of a fleet may be apart."""


@dataclass(frozen=True, slots=True)
class RememberedError:
    """What is remembered of an error, for one scope: a credential, or an endpoint of a corp."""

    scope: str
    fence: int
    """When it was remembered, in milliseconds: the latest wins."""
    kind: type[BrokerError]
    message: str
    metadata: Mapping[str, str]
    until: datetime
    streak: int
    """How many times in a row it came back after it had been remembered."""
    fingerprint: str
    """The fingerprint of the refused secret: the error does not apply to another secret."""
    first_at: datetime | None = None
    """When the first in the row was remembered; None where an older broker remembered it."""
    last_at: datetime | None = None
    """When this one was remembered; None where an older broker remembered it."""

    @property
    def since(self) -> datetime:
        """Return since when it has been so, as far as is known."""
        return self.first_at or datetime.fromtimestamp(self.fence / 1000, UTC)

    def applies(self, now: datetime) -> bool:
        """Return whether it is still true; one that was dated by a clock that ran ahead does not count."""
        return now < self.until and not self.is_from_the_future(now)

    def is_from_the_future(self, now: datetime) -> bool:
        """Return whether it is still to come: the clock that dated it was ahead, and was corrected."""
        return (self.last_at or self.since) > now + AHEAD

    @property
    def subject(self) -> CredentialKey | ListingKey | None:
        """Return the credential or the share list that was refused; None for an endpoint of a corp."""
        return CredentialKey.read(self.scope) or ListingKey.read(self.scope)

    @property
    def closed(self) -> ClosedEndpoint | None:
        """Return the endpoint that a limit closed; None for what else was refused."""
        return ClosedEndpoint.read(self.scope)

    @property
    def app(self) -> str:
        """Return whose it is; empty for an endpoint of a corp, which all its apps share."""
        found = self.subject or self.closed
        return found.app if found else ""

    @property
    def secret_of(self) -> str:
        """Return whose secret it depends on, and under whom stores list it; empty for a closed endpoint.

        Another secret does not open that, and a retry does not.
        """
        found = self.subject
        return found.app if found else ""

    def as_error(self, now: datetime) -> BrokerError:
        """Make a new exception; if waiting helps, its `retry_after` is the time that is left."""
        error = self.kind.restored(self.message, self.metadata)
        error.remembered_as, error.kept_until = self.scope, self.until
        if isinstance(error, RetryLater):
            error.retry_after = max(self.until - now, timedelta(milliseconds=1))
        return error

    def reconciled(self, other: "RememberedError") -> "RememberedError":
        """Return the newer one."""
        return max(self, other, key=lambda remembered: remembered.fence)

    def is_worth_sharing(self, now: datetime) -> bool:
        """See `applies`."""
        return self.applies(now)

    @staticmethod
    def name_of(scope: str) -> str:
        """Return the name of the scope's error in stores and notices."""
        return f"{PREFIX}{scope}"
