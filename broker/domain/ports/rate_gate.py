"""What stands before each call to WeCom."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from broker.domain.corps import AppShare, ShareKind
from broker.domain.credentials import Credential, Grant
from broker.domain.errors import BrokerError
from broker.domain.event_log import Lag
from broker.domain.secret import Secret
from broker.domain.users import User


class UpstreamGate(Protocol):
    """Stands before each call to WeCom: counts it, and keeps it back while waiting is wiser."""

    async def before(self, endpoint: str, corp_id: str) -> None:
        """Return if the call may go out. Raises `RateLimited`, `WecomUnavailable` with `retry_after`."""

    async def after(self, endpoint: str, corp_id: str, error: BrokerError | None) -> None:
        """Learn how the call ended."""
