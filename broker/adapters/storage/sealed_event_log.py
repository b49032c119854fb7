"""Any event log, with every payload sealed: AES-256-GCM, the app as associated data."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from broker.adapters.storage.seal import Seal, SealBroken
from broker.domain.errors import StoreUnavailable
from broker.domain.events.log import Delivery, Entry, Lag, Member, Retention
from broker.domain.ports.event_log import EventLog
from broker.domain.ports.observer import Observer


class SealedEventLog:
    """Seal what goes into a log and open what comes out.

    An entry that does not open is reported and left out. A group that claims it gives it up, so that
    it blocks no other, and a broker that has the key can retry it.
    """

    def __init__(self, inner: EventLog, seal: Seal, observer: Observer) -> None:
        self._inner = inner
        self._seal = seal
        self._observer = observer

    async def append(
        self, entry: Entry, *, key: str, once_in: timedelta, keep: Retention, notify: Sequence[str]
    ) -> str:
        """See `EventLog.append`."""
        sealed = replace(entry, payload=self._seal.close(_name(entry.app), entry.payload))
        return await self._inner.append(sealed, key=key, once_in=once_in, keep=keep, notify=notify)

    async def open_group(self, app: str, group: str, *, most: int) -> bool:
        """See `EventLog.open_group`."""
        return await self._inner.open_group(app, group, most=most)

    async def claim(self, member: Member) -> list[Delivery]:
        """See `EventLog.claim`."""
        while deliveries := await self._inner.claim(member):
            opened = self._opened([delivery.entry for delivery in deliveries])
            broken = [
                delivery.entry.position for delivery in deliveries if delivery.entry.position not in opened
            ]
            if broken:
                with suppress(StoreUnavailable):  # the member's deadline passes, then it is redelivered
                    await self._inner.give_up(member.app, member.group, broken)
            if opened:
                return [
                    replace(delivery, entry=opened[delivery.entry.position])
                    for delivery in deliveries
                    if delivery.entry.position in opened
                ]
        return []

    async def acknowledge(self, app: str, group: str, positions: Sequence[str]) -> int:
        """See `EventLog.acknowledge`."""
        return await self._inner.acknowledge(app, group, positions)

    async def give_up(self, app: str, group: str, positions: Sequence[str]) -> int:
        """See `EventLog.give_up`."""
        return await self._inner.give_up(app, group, positions)

    async def release(
        self,
        app: str,
        group: str,
        member: str,
        *,
        counts_as_attempt: bool = True,
        unseen: Collection[str] = (),
    ) -> None:
        """See `EventLog.release`."""
        await self._inner.release(app, group, member, counts_as_attempt=counts_as_attempt, unseen=unseen)

    async def rewind(self, app: str, group: str, position: str) -> None:
        """See `EventLog.rewind`."""
        await self._inner.rewind(app, group, position)

    async def read(self, app: str, after: str, limit: int) -> list[Entry]:
        """See `EventLog.read`."""
        return await self._filled(lambda position, most: self._inner.read(app, position, most), after, limit)

    async def dead(self, app: str, group: str, after: str, limit: int) -> list[Entry]:
        """See `EventLog.dead`."""
        return await self._filled(
            lambda position, most: self._inner.dead(app, group, position, most), after, limit
        )

    async def retry(self, app: str, group: str, positions: Sequence[str]) -> int:
        """See `EventLog.retry`."""
        return await self._inner.retry(app, group, positions)

    async def lags(self, app: str) -> list[Lag]:
        """See `EventLog.lags`."""
        return await self._inner.lags(app)

    async def forget_groups(self, app: str, unused_for: timedelta) -> None:
        """See `EventLog.forget_groups`."""
        await self._inner.forget_groups(app, unused_for)

    async def _filled(
        self, read: Callable[[str, int], Awaitable[list[Entry]]], after: str, limit: int
    ) -> list[Entry]:
        """Return `limit` entries that open, or all: a page that is not full is the last."""
        found: list[Entry] = []
        while len(found) < limit and (entries := await read(after, limit - len(found))):
            found += self._opened(entries).values()
            after = entries[-1].position
        return found

    def _opened(self, entries: Sequence[Entry]) -> dict[str, Entry]:
        """Return the entries that open, by position; report the others."""
        opened = {}
        for entry in entries:
            try:
                payload = self._seal.open(_name(entry.app), entry.payload)
            except SealBroken as error:
                self._observer.background_failed("opening an event", error)
            else:
                opened[entry.position] = replace(entry, payload=payload)
        return opened


def _name(app: str) -> str:
    return f"event:{app}"
