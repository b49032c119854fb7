"""The gate before WeCom: counts calls over the whole fleet, and refuses those that WeCom would refuse."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.domain.closed_endpoints import ClosedEndpoint
from broker.domain.errors import (
    BrokerError,
    RateLimited,
    StoreUnavailable,
    WecomUnavailable,
)
from broker.domain.ports.rate_gate import CallScope
from broker.domain.ports.store import Counters
from broker.usecases.fleet.background import Background
from broker.usecases.limits.circuit_breaker import CircuitBreakers
from broker.usecases.limits.error_cache import ErrorCache


@dataclass(frozen=True, slots=True)
class Limit:
    """How many calls of one endpoint are allowed for one corp in a window."""

    window: timedelta
    most: int


LIMITS = (Limit(timedelta(minutes=1), 10_000), Limit(timedelta(hours=1), 150_000))
"""wecom-api E: each corp, per single API."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """How much of one limit the fleet has used, and until when WeCom has closed it."""

    endpoint: str
    corp_id: str
    limit: Limit
    used: int
    closed_until: datetime | None
    agent_id: int = 0
    """0 = the limit is the whole corp's."""
    callers: Mapping[str, int] = field(default_factory=dict)
    """How many of those each caller had fetched although the broker held something valid."""


class RateGate:
    """Let calls pass, or say how long to wait, depending on how earlier calls ended.

    A rate limit closes the endpoint for that corp on every replica, one that a caller's own call meets for
    that app in the corp; an outage closes it for the app and corp on the replica that sees it.
    """

    def __init__(
        self,
        counters: Counters,
        error_cache: ErrorCache,
        breakers: CircuitBreakers,
        counted: Collection[str],
        tasks: Background,
    ) -> None:
        """Count calls of these endpoints: callers choose others, and each would be a counter of its own."""
        self._counted = counted
        self._tasks = tasks
        self._counters = counters
        self._error_cache = error_cache
        self._breakers = breakers

    async def before(self, scope: CallScope) -> None:
        """Return if the call may go out. Raises `RateLimited` or `WecomUnavailable`."""
        await self._error_cache.check(scope.limited.name)
        if not scope.is_file:
            self._breakers.check(scope)
        if scope.endpoint in self._counted:
            # The call does not wait for that: what was used is shown, and refuses nothing.
            self._tasks.create_task(self._count(scope))

    async def _count(self, scope: CallScope) -> None:
        with suppress(StoreUnavailable):
            await asyncio.gather(
                *(
                    self._counters.count(_counter(scope.endpoint, scope.subject, limit), limit.window)
                    for limit in LIMITS
                )
            )

    async def after(self, scope: CallScope, error: BrokerError | None) -> None:
        """Record how the call ended."""
        if isinstance(error, WecomUnavailable):
            if not scope.is_file:
                self._breakers.failed(scope)
            return
        if not scope.is_file:
            self._breakers.succeeded(scope)
        limit = scope.limited.name
        if isinstance(error, RateLimited):
            await self._error_cache.remember(limit, error)
        # A call that succeeds while the endpoint is closed was sent before that: the limit still applies.
        elif not self._error_cache.active(limit):
            await self._error_cache.forget(limit)

    async def quotas(self, corp_ids: Sequence[str], endpoints: Sequence[str]) -> list[QuotaUse]:
        """Return the use of every limit. Raises `StoreUnavailable`."""
        cells = [(e, c, limit) for c in corp_ids for e in endpoints for limit in LIMITS]
        used = await self._counters.counts([_counter(*cell) for cell in cells])
        return [
            QuotaUse(
                endpoint,
                corp_id,
                limit,
                used[_counter(endpoint, corp_id, limit)],
                self._closed(endpoint, corp_id),
            )
            for endpoint, corp_id, limit in cells
        ]

    def _closed(self, endpoint: str, corp_id: str) -> datetime | None:
        refusal = self._error_cache.active(ClosedEndpoint(endpoint, corp_id).name)
        return refusal.until if refusal else None


def _counter(endpoint: str, corp_id: str, limit: Limit) -> str:
    return f"calls:{endpoint}:{corp_id}:{int(limit.window.total_seconds())}"
