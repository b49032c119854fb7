"""The event log over a store: events encoded, and sealed with AES-256-GCM, the app as associated data."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Generic, TypeVar

from broker.adapters.storage.event_codec import EventCodec
from broker.adapters.storage.parked_events import ParkedEvents
from broker.adapters.storage.payload import RecordDamaged
from broker.adapters.storage.seal import KeyUnknown, Seal, SealBroken, sealed_by
from broker.domain.errors import StoreUnavailable
from broker.domain.events.log import Delivery, Entry, Member, Retention
from broker.domain.ports.event_log import EventStore
from broker.domain.ports.observer import Damage, Observer

Item = TypeVar("Item")
MOST_TOLD = 1000


class SealedEventLog(Generic[Item]):
    """Encode and seal what goes into a log, open and decode what comes out.

    An entry that does not open, or that the codec cannot read, is reported and left out. A group that claims
    it gives it up, so that it blocks no other. What only lacks a key is parked: a broker that has the key
    brings it back; without a `parking`, somebody has to retry it.
    """

    def __init__(
        self,
        store: EventStore,
        seal: Seal,
        codec: EventCodec[Item],
        observer: Observer,
        parking: ParkedEvents | None = None,
    ) -> None:
        self._store = store
        self._seal = seal
        self._codec = codec
        self._observer = observer
        self._parking = parking
        self._told: set[tuple[str, str]] = set()
        """Apps and unknown keys, each told once."""
        self._left: dict[tuple[str, str], dict[str, str]] = {}
        """By app and group: what is still to be set aside, with the key that it lacks, or "" if damaged."""

    async def append(
        self, event: Item, *, key: str, once_in: timedelta, keep: Retention, notify: Sequence[str]
    ) -> str:
        """See `EventLog.append`."""
        entry = self._codec.encode(event)
        sealed = replace(entry, payload=self._seal.close(name_of_log(entry.app), entry.payload))
        return await self._store.append(sealed, key=key, once_in=once_in, keep=keep, notify=notify)

    async def claim(self, member: Member) -> list[Delivery[Item]]:
        """See `EventLog.claim`."""
        await self._set_aside(member, {})
        while deliveries := await self._store.claim(member):
            entries = [delivery.event for delivery in deliveries]
            opened = self._opened(entries)
            broken = {each.position: self._lacking(each) for each in entries if each.position not in opened}
            await self._set_aside(member, broken)
            if opened:
                return [
                    Delivery(opened[delivery.event.position], delivery.attempts, delivery.count)
                    for delivery in deliveries
                    if delivery.event.position in opened
                ]
        return []

    async def _set_aside(self, member: Member, broken: Mapping[str, str]) -> None:
        """Give up these, and those for which the store was away: a member that works would keep them."""
        group = member.app, member.group
        broken = {**self._left.pop(group, {}), **broken}
        parked = {position: key_id for position, key_id in broken.items() if key_id and self._parking}
        damaged = [position for position in broken if position not in parked]
        try:
            if parked and self._parking:
                await self._parking.park(*group, parked)
            if damaged:
                await self._store.give_up(*group, damaged)
        except StoreUnavailable:
            if len(self._left) >= MOST_TOLD:
                self._left.clear()
            self._left[group] = broken

    def _lacking(self, entry: Entry) -> str:
        """Return the id of the key that it lacks; "" if it is damaged."""
        try:
            self._seal.open(name_of_log(entry.app), entry.payload)
        except KeyUnknown:
            return sealed_by(entry.payload)
        except SealBroken:
            return ""
        return ""

    async def read(self, app: str, after: str, limit: int) -> list[Item]:
        """See `EventLog.read`."""
        return await self._filled(lambda position, most: self._store.read(app, position, most), after, limit)

    async def dead(self, app: str, group: str, after: str, limit: int) -> list[Item]:
        """See `EventLog.dead`."""
        return await self._filled(
            lambda position, most: self._store.dead(app, group, position, most), after, limit
        )

    async def _filled(
        self, read: Callable[[str, int], Awaitable[list[Entry]]], after: str, limit: int
    ) -> list[Item]:
        """Return `limit` events that open, or all: a page that is not full is the last."""
        found: list[Item] = []
        while len(found) < limit and (entries := await read(after, limit - len(found))):
            found += self._opened(entries).values()
            after = entries[-1].position
        return found

    def _opened(self, entries: Sequence[Entry]) -> dict[str, Item]:
        """Return the events that open, by position; report the others."""
        opened = {}
        for entry in entries:
            try:
                payload = self._seal.open(name_of_log(entry.app), entry.payload)
                opened[entry.position] = self._codec.decode(replace(entry, payload=payload))
            except KeyUnknown as error:
                self._tell_unknown(entry, error)
            except (SealBroken, RecordDamaged) as error:
                self._observer.damage_found(Damage.EVENT, error.with_traceback(None))
        return opened

    def _tell_unknown(self, entry: Entry, error: KeyUnknown) -> None:
        lacking = entry.app, sealed_by(entry.payload)
        if self._parking and lacking in self._told:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told.add(lacking)
        self._observer.damage_found(Damage.EVENT, error.with_traceback(None))


def name_of_log(app: str) -> str:
    """Return the associated data of an app's events; app, corp and type are sealed inside too."""
    return f"event:{app}"
