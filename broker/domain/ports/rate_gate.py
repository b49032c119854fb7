"""What stands before each call to WeCom."""

from dataclasses import dataclass
from typing import Protocol

from broker.domain.errors import BrokerError


@dataclass(frozen=True, slots=True)
class CallScope:
    """Whom a call to WeCom concerns: limits count by corp and endpoint, outages by app as well."""

    app: str
    corp_id: str
    endpoint: str
    carries_code: bool = False
    """Whether a login code travels with it: it is sent once, and while there is any chance."""


class UpstreamGate(Protocol):
    """Counts each call to WeCom, and holds it back while waiting is wiser."""

    async def before(self, scope: CallScope) -> None:
        """Return if the call may go out. Raises `RateLimited`, `WecomUnavailable` with `retry_after`."""

    async def after(self, scope: CallScope, error: BrokerError | None) -> None:
        """Learn how the call ended."""
