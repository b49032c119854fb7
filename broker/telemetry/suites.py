"""The observer of suites: logs and counts what happens to tickets, authorisations and codes."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from broker.domain.ports.clock import Clock
from broker.domain.suites.view import ViewState
from broker.telemetry.logging import LOGGER
from broker.telemetry.metrics import Metrics

REMINDER = timedelta(minutes=10)
"""How often a problem that lasts is logged again."""
LOGGED_EVERY = timedelta(seconds=10)
"""How often a lost code of one suite is logged: callers can bring made-up ones."""


class SuiteTelemetry:
    """The `SuiteObserver` of a running broker."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._log = structlog.get_logger(LOGGER)
        self._warned_at: dict[str, datetime] = {}
        self._lost: dict[str, tuple[datetime, int]] = {}
        """When a lost code of each suite was last logged, and how many were lost since."""

    def ticket_pushed(self, suite: str, *, is_newest: bool) -> None:
        """See `SuiteObserver.ticket_pushed`."""
        self._metrics.suite_tickets.labels(suite, "newest" if is_newest else "older").inc()

    def ticket_looked_at(self, suite: str, expires_at: datetime | None, problem: str) -> None:
        """See `SuiteObserver.ticket_looked_at`; a problem that lasts is logged from time to time."""
        self._metrics.suite_ticket_expiry.labels(suite).set(expires_at.timestamp() if expires_at else 0)
        if not problem:
            if self._warned_at.pop(suite, None):
                self._log.warning("the suite has a new suite_ticket", app=suite)
            return
        warned_at = self._warned_at.get(suite)
        if warned_at is None or self._clock.now() - warned_at >= REMINDER:
            self._warned_at[suite] = self._clock.now()
            self._log.error("the suite lacks a suite_ticket", app=suite, problem=problem)

    def authorization_changed(self, suite: str, corp_id: str, state: str, problem: str) -> None:
        """See `SuiteObserver.authorization_changed`."""
        say = self._log.info if state == ViewState.ACTIVE else self._log.warning
        say("authorization", app=suite, corp_id=corp_id, state=state, problem=problem)

    def authorizations_counted(
        self, suite: str, counts: Mapping[str, int], next_permission_end: datetime | None
    ) -> None:
        """See `SuiteObserver.authorizations_counted`."""
        for state in ViewState:
            self._metrics.authorizations.labels(suite, state).set(counts.get(state, 0))
        ends = next_permission_end.timestamp() if next_permission_end else 0
        self._metrics.permission_expiry.labels(suite).set(ends)

    def exchange_ended(self, suite: str, outcome: str) -> None:
        """See `SuiteObserver.exchange_ended`."""
        self._metrics.exchanges.labels(suite, outcome).inc()

    def suite_ended(self, suite: str) -> None:
        """See `SuiteObserver.suite_ended`; no alert may wait for what nobody configures."""
        self._warned_at.pop(suite, None)
        self._lost.pop(suite, None)
        self._metrics.forget_suite(suite)

    def code_lost(self, suite: str, problem: str) -> None:
        """See `SuiteObserver.code_lost`; logged at most every ten seconds for each suite."""
        now = self._clock.now()
        last, unlogged = self._lost.get(suite, (None, 0))
        if last and now - last < LOGGED_EVERY:
            self._lost[suite] = last, unlogged + 1
            return
        self._lost[suite] = now, 0
        self._log.error("an auth_code was lost", app=suite, problem=problem, not_logged_before=unlogged)
