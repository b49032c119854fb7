"""Errors that stay true for a while, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.domain.errors import BrokerError, RetryLater

PREFIX = "refusal:"


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

    def as_error(self, now: datetime) -> BrokerError:
        """Make a new exception; if waiting helps, its `retry_after` is the time that is left."""
        error = self.kind.restored(self.message, self.metadata)
        error.remembered = True
        if isinstance(error, RetryLater):
            error.retry_after = max(self.until - now, timedelta(milliseconds=1))
        return error

    def reconciled(self, other: "RememberedError") -> "RememberedError":
        """Return the newer one."""
        return max(self, other, key=lambda remembered: remembered.fence)

    def is_worth_sharing(self, now: datetime) -> bool:
        """Return whether it is still true."""
        return now < self.until

    @staticmethod
    def name_of(scope: str) -> str:
        """Return the name of the scope's error in stores and notices."""
        return f"{PREFIX}{scope}"
