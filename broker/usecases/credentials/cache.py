"""The credentials that this replica holds, and who watches them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from broker.domain.credentials import Credential, CredentialKey, RefreshPolicy
from broker.domain.errors import BrokerError

NEVER = datetime.min.replace(tzinfo=UTC)


class Latest:
    """The newest credential for one watcher: a slow one misses older values, and delays nobody."""

    def __init__(self) -> None:
        self._newest: Credential | None = None
        self._error: BrokerError | None = None
        self._closed = False
        self._filled = asyncio.Event()

    def put(self, credential: Credential) -> None:
        """Replace what was not taken yet."""
        self._newest = credential
        self._filled.set()

    def close(self) -> None:
        """End the watch: the broker stops, and the watcher will find another."""
        self._closed = True
        self._filled.set()

    def fail(self, error: BrokerError) -> None:
        """End the watch with the error."""
        self._error = error
        self._filled.set()

    async def __aiter__(self) -> AsyncIterator[Credential]:
        while True:
            await self._filled.wait()
            self._filled.clear()
            if self._error is not None:
                raise self._error
            if self._closed:
                return
            if self._newest is not None:
                yield self._newest


@dataclass(slots=True)
class CacheEntry:
    """One credential in memory."""

    key: CredentialKey
    credential: Credential | None = None
    fresh_until: datetime = NEVER
    """Until then it is served without another look: worked out once for each rotation."""
    used_at: datetime | None = None
    """When a caller last asked for it: nobody's credential is not renewed ahead."""
    rests_until: datetime | None = None
    """After a failed renewal: until then callers don't pay for another attempt (engine rule 4)."""
    last_error: BrokerError | None = None
    last_error_at: datetime | None = None
    watchers: set[Latest] = field(default_factory=set)


class CredentialCache:
    """Keep the newest of each credential, and push it to its watchers."""

    def __init__(self, policy: RefreshPolicy) -> None:
        self._policy = policy
        self._entries: dict[CredentialKey, CacheEntry] = {}
        self._by_name: dict[str, CacheEntry] = {}
        self._listeners: list[Callable[[Credential], None]] = []

    def __iter__(self) -> Iterator[CacheEntry]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def on_put(self, listener: Callable[[Credential], None]) -> None:
        """Call the listener with every credential that is put, and with one that somebody begins to watch."""
        self._listeners.append(listener)

    def find(self, key: CredentialKey) -> CacheEntry | None:
        """Return the holding, if there is one."""
        return self._entries.get(key)

    def find_name(self, name: str) -> CacheEntry | None:
        """Return the holding of that record, if there is one."""
        return self._by_name.get(name)

    def hold(self, key: CredentialKey) -> CacheEntry:
        """Return the holding, an empty one if there was none."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._by_name[key.name] = CacheEntry(key)
        return entry

    def put(self, credential: Credential) -> bool:
        """Keep it unless something newer is held; push a new value to the watchers.

        A generation never goes back, whatever the store says (engine rule 3).
        """
        entry = self.hold(credential.key)
        held = entry.credential
        if held and (credential.fence <= held.fence or credential.generation < held.generation):
            return False
        entry.credential = credential
        entry.fresh_until = credential.fresh_until(self._policy)
        entry.rests_until = entry.last_error = entry.last_error_at = None
        if held is None or held.generation != credential.generation:
            for latest in entry.watchers:
                latest.put(credential)
        self._tell(credential)
        return True

    def drop(self, key: CredentialKey, error: BrokerError) -> None:
        """Forget a credential on purpose; its watchers end with the error."""
        if entry := self._entries.pop(key, None):
            del self._by_name[key.name]
            for latest in entry.watchers:
                latest.fail(error)

    def close_watches(self) -> None:
        """End every watch, so that a stopping broker need not wait for its watchers."""
        for entry in self:
            for latest in entry.watchers:
                latest.close()

    def sweep(self, gone_before: datetime) -> None:
        """Forget what expired before that moment and nobody watches."""
        for entry in self:
            credential = entry.credential
            if credential and credential.expires_at < gone_before and not entry.watchers:
                del self._entries[entry.key]
                del self._by_name[entry.key.name]

    @contextmanager
    def watching(self, key: CredentialKey) -> Iterator[Latest]:
        """Collect what is put from now on."""
        entry = self.hold(key)
        latest = Latest()
        entry.watchers.add(latest)
        if entry.credential:
            self._tell(entry.credential)
        try:
            yield latest
        finally:
            entry.watchers.discard(latest)
            if entry.credential is None and not entry.watchers and self.find(key) is entry:
                del self._entries[key]
                del self._by_name[key.name]

    def _tell(self, credential: Credential) -> None:
        for listener in self._listeners:
            listener(credential)
