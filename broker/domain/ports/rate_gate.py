"""The check before each call to WeCom."""

from dataclasses import dataclass
from typing import Protocol

from broker.domain.closed_endpoints import ClosedEndpoint
from broker.domain.errors import BrokerError


@dataclass(frozen=True, slots=True)
class CallScope:
    """What a call to WeCom counts for: limits by corp and endpoint, outages by app as well."""

    app: str
    corp_id: str
    endpoint: str
    carries_code: bool = False
    """Whether it carries a one-time code: it is sent only once, and whenever it may succeed."""
    caller: str = ""
    """Whose own call it is: what makes it fail may be in the call, so its outages are that caller's alone."""
    is_file: bool = False
    """Whether a file is streamed: how one ends says nothing about the next."""
    is_proxied: bool = False
    """Whether it is a caller's own call: the limit that it meets may be its app's alone (wecom-api E)."""

    @property
    def subject(self) -> str:
        """Return whose limits it counts for: the corp's, or a suite's own."""
        return self.corp_id or self.app

    @property
    def limited(self) -> ClosedEndpoint:
        """Return what a limit that it meets closes."""
        return ClosedEndpoint(self.endpoint, self.subject, self.app if self.is_proxied else "")


class UpstreamGate(Protocol):
    """Counts each call to WeCom, and refuses it while the caller should wait."""

    async def before(self, scope: CallScope) -> None:
        """Return if the call may go out. Raises `RateLimited`, `WecomUnavailable` with `retry_after`."""

    async def after(self, scope: CallScope, error: BrokerError | None) -> None:
        """Record how the call ended."""
