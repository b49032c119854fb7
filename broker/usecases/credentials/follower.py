"""The memory of this replica, kept in step with what the others commit (engine rule 9)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import AppNotShared, StoreUnavailable
from broker.domain.ports.clock import Clock
from broker.domain.ports.collection import Collection, Stored
from broker.domain.ports.store import Notice, NoticeKind
from broker.usecases.credentials.cache import CredentialCache

BATCH = 500
"""How many records are looked at again in one step."""
REST = timedelta(seconds=1)
"""How long a store that does not answer is left alone."""


class MemoryFollower:
    """Look again at what a notice calls stale; bring back to a store what it has lost."""

    def __init__(
        self, credentials: Collection[CredentialKey, Credential], memory: CredentialCache, clock: Clock
    ) -> None:
        self._credentials = credentials
        self._memory = memory
        self._clock = clock
        self._stale: dict[CredentialKey, None] = {}
        self._filled = asyncio.Event()

    def on_notice(self, notice: Notice) -> None:
        """Take note of what another replica did; `run` acts on it."""
        if notice.kind is NoticeKind.CONNECTED:
            self._stale.update((entry.key, None) for entry in self._memory)
        elif entry := self._memory.find_name(notice.name):
            held_fence = entry.credential.fence if entry.credential else 0
            if notice.kind is NoticeKind.FORGOTTEN and held_fence <= notice.fence:
                self._drop(entry.key)
            elif notice.kind is NoticeKind.COMMITTED and held_fence < notice.fence:
                self._stale[entry.key] = None
        if self._stale:
            self._filled.set()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._stale:
                # Off the list before we look: what becomes stale meanwhile is looked at again.
                keys = [self._stale.popitem()[0] for _ in range(min(BATCH, len(self._stale)))]
                try:
                    stored = await self._credentials.load(keys)
                    for key in keys:
                        await self._reconcile(key, stored.get(key))
                except StoreUnavailable:
                    self._stale.update(dict.fromkeys(keys))
                    await self._clock.sleep(REST)

    async def _reconcile(self, key: CredentialKey, found: Stored[Credential] | None) -> None:
        """Let the newer of memory and store be in both."""
        entry = self._memory.find(key)
        held = entry.credential if entry else None
        stored = found.value if found else None
        if found and stored is None:
            if held and held.fence <= found.fence:
                self._drop(key)
            return
        if held is None:
            if stored:
                self._memory.put(stored)
            return
        newest = _newest(held, stored) if stored else held
        is_news = stored is None or newest.fence > stored.fence
        if is_news and newest.is_valid(self._clock.now()) and not await self._credentials.offer(newest):
            self._stale[key] = None  # something newer was committed since we looked
        else:
            self._memory.put(newest)

    def _drop(self, key: CredentialKey) -> None:
        gone = AppNotShared("the app is no longer shared with this corp", app=key.app, corp_id=key.corp_id)
        self._memory.drop(key, gone)


def _newest(held: Credential, stored: Credential) -> Credential:
    """Return the one that was committed last, under a number that is ahead of both where it must be.

    One was fetched while the store was away, and perhaps in the same moment as the other: callers have
    seen both generations, and they must not go back, nor mean two values (engine rule 3).
    """
    newest, other = (held, stored) if held.fence > stored.fence else (stored, held)
    if newest.generation == other.generation and newest.value == other.value:
        return newest
    if newest.generation > other.generation and newest.fence > other.fence:
        return newest
    return replace(newest, fence=newest.fence + 1, generation=newest.fence + 1)
