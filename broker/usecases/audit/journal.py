"""The way of every record into the trail."""

from datetime import timedelta

from broker.domain.audit import AuditOutcome, AuditRecord
from broker.domain.ports.audit import AuditObserver, AuditTrail
from broker.domain.ports.clock import Clock
from broker.usecases.audit.repeats import Repeats

LOOKED_EVERY = timedelta(seconds=1)


class AuditJournal:
    """Write each record once; those that callers can repeat without end are summed."""

    def __init__(self, trail: AuditTrail, observer: AuditObserver, clock: Clock) -> None:
        self._trail = trail
        self._observer = observer
        self._clock = clock
        self._repeats = Repeats()

    def write(self, record: AuditRecord) -> None:
        """Write it now."""
        self._trail.write(record)

    def write_summed(self, record: AuditRecord) -> None:
        """Write it, or count it with those like it of this minute."""
        self._repeats.add(record)
        self._write_due()

    async def run(self) -> None:
        """Write sums when their minute is over, for ever."""
        while True:
            await self._clock.sleep(LOOKED_EVERY)
            self._write_due()

    def close(self) -> None:
        """Write what was counted so far, and log none of it: it may be much at once. The broker stops."""
        for record in self._repeats.rest():
            self._trail.write(record)

    def _write_due(self) -> None:
        record = self._repeats.due(self._clock.now())
        if record is None:
            return
        self._trail.write(record)
        if record.outcome is AuditOutcome.REFUSED:
            self._observer.caller_refused(record)
