"""What stands before each call to WeCom."""

from typing import Protocol

from broker.domain.errors import BrokerError


class UpstreamGate(Protocol):
    """Stands before each call to WeCom: counts it, and keeps it back while waiting is wiser."""

    async def before(self, endpoint: str, corp_id: str) -> None:
        """Return if the call may go out. Raises `RateLimited`, `WecomUnavailable` with `retry_after`."""

    async def after(self, endpoint: str, corp_id: str, error: BrokerError | None) -> None:
        """Learn how the call ended."""
