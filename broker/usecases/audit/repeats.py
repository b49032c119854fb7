"""Sum what callers can repeat without end, so that nobody fills the disk with refusals of himself."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.domain.audit import AuditOutcome, AuditRecord, AuditTarget

SUMMED_FOR = timedelta(minutes=1)
"""How long repeats are summed into one record."""
PACE = timedelta(seconds=1)
"""The least time between two records."""
MAX_DISTINCT = 50
"""How many different things are told apart for one caller; the others are summed without their target."""

Likeness = tuple[AuditOutcome, str, str, str, AuditTarget, str]


@dataclass(slots=True)
class _Sum:
    newest: AuditRecord
    count: int = 0
    written_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        return self.count > 0 and not _is_within(SUMMED_FOR, self.written_at, now)

    def is_over(self, now: datetime) -> bool:
        return self.count == 0 and not _is_within(SUMMED_FOR, self.written_at, now)


class Repeats:
    """The first of its like is written soon, those that follow within a minute as one record.

    At most one record a second leaves, the callers taking turns: one caller's flood hides no other's refusal.
    """

    def __init__(self) -> None:
        self._callers: dict[str, dict[Likeness, _Sum]] = {}
        """The caller whose turn is next comes first, and so within each caller."""
        self._last: datetime | None = None

    def add(self, record: AuditRecord) -> None:
        """Count one more."""
        sums = self._callers.setdefault(record.caller, {})
        like = _likeness(record)
        if like not in sums and len(sums) >= MAX_DISTINCT:
            record = replace(record, action="", operation="", target=AuditTarget(), generation=0)
            record = replace(record, peer=record.peer if record.caller else "")
            like = _likeness(record)
        found = sums.setdefault(like, _Sum(record))
        found.newest = record
        found.count += 1

    def due(self, now: datetime) -> AuditRecord | None:
        """Return the next record to be written, if it is time for one."""
        if _is_within(PACE, self._last, now):
            return None
        for caller, sums in list(self._callers.items()):
            for like in [like for like, found in sums.items() if found.is_over(now)]:
                del sums[like]
            if not sums:
                del self._callers[caller]
                continue
            due = next((like for like, found in sums.items() if found.is_due(now)), None)
            if due is None:
                continue
            found = sums[due] = sums.pop(due)
            self._callers[caller] = self._callers.pop(caller)
            found.written_at = self._last = now
            return _taken(found)
        return None

    def rest(self) -> Iterator[AuditRecord]:
        """Yield all that was counted and not written: the broker stops."""
        for sums in self._callers.values():
            for found in sums.values():
                if found.count:
                    yield _taken(found)


def _is_within(span: timedelta, since: datetime | None, now: datetime) -> bool:
    """Return whether the span lasts; one from the future was begun before the clock was set back."""
    return since is not None and timedelta(0) <= now - since < span


def _likeness(record: AuditRecord) -> Likeness:
    # A known caller may come from many addresses; strangers are told apart by theirs.
    peer = "" if record.caller else record.peer
    return record.outcome, peer, record.action, record.operation, record.target, record.reason


def _taken(found: _Sum) -> AuditRecord:
    record = replace(found.newest, repeats=found.count)
    found.count = 0
    return record
