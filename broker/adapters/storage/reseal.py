"""Seal with the first key what another key sealed: records and events, beside brokers that serve."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from broker.adapters.storage.seal import KeyUnknown, Seal, SealBroken, sealed_by
from broker.adapters.storage.sealed_event_log import name_of_log
from broker.domain.ports.at_rest import AtRest

EVENTS = "events"
TRIES = 5
"""How often the events of one app are copied anew because brokers removed some meanwhile."""
TELL_EVERY = 1000


@dataclass(slots=True)
class Resealed:
    """What a walk through the store has done so far, by kind: the first word of a name, or `events`."""

    current: Counter[str] = field(default_factory=Counter)
    """Sealed with the first key already."""
    resealed: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    """Somebody wrote it meanwhile: with the first key, if that broker has it as its first."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Sealed with a key that is not configured."""
    broken: Counter[str] = field(default_factory=Counter)
    """It does not open: damaged, or forged. Brokers replace it."""
    missing_keys: Counter[str] = field(default_factory=Counter)
    """The ids of the keys of what is `unknown`."""
    late_keys: Counter[str] = field(default_factory=Counter)
    """The ids of the keys that still sealed something during the walk: some broker has another first key."""

    @property
    def is_complete(self) -> bool:
        """Return whether nothing is left that needs another key than the first."""
        return not self.missing_keys and not self.late_keys


class Resealing:
    """A walk through a store, and a second one that proves it. It may be interrupted, and done again."""

    def __init__(self, at_rest: AtRest, seal: Seal, leaves: Callable[[str], bool]) -> None:
        self._at_rest = at_rest
        self._seal = seal
        self._leaves = leaves
        """Whether a record is to stay under its own key."""
        self._sealed_before: Counter[str] = Counter()

    async def run(self) -> AsyncIterator[Resealed]:
        """Yield what is done so far, now and then and at the end. Raises `StoreUnavailable`."""
        async for done in self._walk():
            yield done
        self._sealed_before.clear()
        async for again in self._walk():
            proof = again
        done.late_keys.update(self._sealed_before)
        done.missing_keys = proof.missing_keys
        done.resealed += proof.resealed
        yield done

    async def _walk(self) -> AsyncIterator[Resealed]:
        done, looked = Resealed(), 0
        async for name, payload in self._at_rest.records():
            if self._leaves(name):
                continue
            kind = name.partition(":")[0]
            after = self._resealed(name, payload, kind, done)
            if after != payload:
                await self._exchange(name, payload, after, kind, done)
            looked += 1
            if looked % TELL_EVERY == 0:
                yield done
        for app in await self._at_rest.apps_with_events():
            await self._events_of(app, done)
            yield done
        yield done

    async def _exchange(self, name: str, before: bytes, after: bytes, kind: str, done: Resealed) -> None:
        if await self._at_rest.exchange(name, before, after):
            done.resealed[kind] += 1
            self._sealed_before[sealed_by(before)] += 1
        else:
            done.changed[kind] += 1

    async def _events_of(self, app: str, done: Resealed) -> None:
        for _ in range(TRIES):
            found, keys = Resealed(), Counter[str]()

            def change(app: str, payload: bytes, found: Resealed = found, keys: Counter[str] = keys) -> bytes:
                after = self._resealed(name_of_log(app), payload, EVENTS, found)
                if after != payload:
                    found.resealed[EVENTS] += 1
                    keys[sealed_by(payload)] += 1
                return after

            if await self._at_rest.exchange_events(app, change):
                break
            found.changed[EVENTS] = found.resealed.pop(EVENTS, 0)
        self._sealed_before += keys
        for name in ("current", "resealed", "changed", "unknown", "broken", "missing_keys"):
            getattr(done, name).update(getattr(found, name))

    def _resealed(self, name: str, payload: bytes, kind: str, done: Resealed) -> bytes:
        """Return the payload sealed with the first key; as it is, if that cannot be or need not."""
        if self._seal.is_current(payload):
            done.current[kind] += 1
            return payload
        try:
            return self._seal.close(name, self._seal.open(name, payload))
        except KeyUnknown:
            done.unknown[kind] += 1
            done.missing_keys[sealed_by(payload)] += 1
        except SealBroken:
            done.broken[kind] += 1
        return payload
