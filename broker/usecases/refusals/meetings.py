"""How many calls ended with a remembered error, and whose they were: on this replica."""

import heapq
from dataclasses import dataclass, field
from datetime import datetime

from broker.domain.errors import BrokerError
from broker.domain.replica.report import Meeting
from broker.usecases.limits.error_cache import ErrorCache

MOST_SCOPES = 1000
"""Of more, the one that was met first is dropped."""
MOST_CALLERS = 100
"""How many callers of one error are told apart."""
MOST_REPORTED, CALLERS_REPORTED = 50, 20
"""How much of that the other replicas get: a report is written every few seconds."""


@dataclass(slots=True)
class Met:
    """The calls that met one remembered error."""

    since: datetime
    """Since when the error is remembered: one that comes back later is another one."""
    calls: int = 0
    callers: set[str] = field(default_factory=set)


class Meetings:
    """Count them by scope."""

    def __init__(self, error_cache: ErrorCache) -> None:
        self._error_cache = error_cache
        self._met: dict[str, Met] = {}

    def note(self, error: BrokerError, caller: str) -> None:
        """Count a call of that caller that ended with the error; nothing if that is not remembered."""
        remembered = self._error_cache.get(error.remembered_as) if error.remembered_as else None
        if remembered is None:
            return
        met = self._met.get(remembered.scope)
        if met is None or met.since != remembered.since:
            self._met.pop(remembered.scope, None)
            if len(self._met) >= MOST_SCOPES:
                del self._met[next(iter(self._met))]
            met = self._met[remembered.scope] = Met(remembered.since)
        met.calls += 1
        if len(met.callers) < MOST_CALLERS:
            met.callers.add(caller)

    def most(self) -> list[Meeting]:
        """Return those that the most calls met, for the other replicas."""
        met = heapq.nlargest(MOST_REPORTED, self._met.items(), key=lambda each: each[1].calls)
        return [
            Meeting(scope, each.since, each.calls, tuple(sorted(each.callers)[:CALLERS_REPORTED]))
            for scope, each in met
        ]

    def of(self, scope: str, since: datetime) -> Met:
        """Return who met the error of the scope that is remembered since then."""
        met = self._met.get(scope)
        return met if met and met.since == since else Met(since)
