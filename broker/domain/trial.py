"""A secret that a doctor tried at WeCom, and what WeCom answered.

WeCom bars an address for an hour after several wrong secrets (wecom-api D, 45009). A doctor that runs in a
loop, on several machines, must not cause that: one that was refused is never tried again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.domain.errors import BrokerError, SecretRejected

ACCEPTED_FOR = timedelta(hours=1)
"""How long an accepted secret is believed: a fetch may end the token that brokers hold (wecom-api F)."""
OTHERWISE_AFTER = timedelta(minutes=1)
"""When it is tried again after another error: a change is active after a minute (wecom-api D, 60020)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One secret, and how its last trial ended."""

    mark: str
    """Whose secret it is at WeCom, and its fingerprint: another secret is another trial."""
    at: datetime
    answered: bool = True
    """False: the doctor stopped before WeCom's answer came. The secret may have been wrong."""
    kind: type[BrokerError] | None = None
    """Why WeCom refused; None if it accepted the secret."""
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def fence(self) -> int:
        """Return its moment in milliseconds: the last trial wins."""
        return int(self.at.timestamp() * 1000)

    def is_due(self, now: datetime) -> bool:
        """Return whether the secret may be tried again."""
        if not self.answered or self.kind is SecretRejected:
            return False
        return now >= self.at + (OTHERWISE_AFTER if self.kind else ACCEPTED_FOR)

    @staticmethod
    def name_of(mark: str) -> str:
        """Return the name of the trial in a store."""
        return f"trial:{mark}"
