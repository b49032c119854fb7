"""The memory of this replica, kept in step with what the others commit (engine rule 9)."""

import asyncio
from dataclasses import replace

from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import AppNotShared, StoreUnavailable
from broker.domain.ports import Clock, Notice, NoticeKind, Record, Store
from broker.usecases.credential_memory import CredentialMemory
from broker.usecases.credential_record import from_record, to_record

BATCH = 500
"""How many records are looked at again in one step."""


class MemoryFollower:
    """Look again at what a notice calls stale; bring back to a store what it has lost."""

    def __init__(self, store: Store, memory: CredentialMemory, clock: Clock) -> None:
        self._store = store
        self._memory = memory
        self._clock = clock
        self._stale: dict[CredentialKey, None] = {}
        self._filled = asyncio.Event()

    def hear(self, notice: Notice) -> None:
        """Take note of what another replica did; `run` acts on it."""
        if notice.kind is NoticeKind.CONNECTED:
            self._stale.update((holding.key, None) for holding in self._memory)
        elif holding := self._memory.find_name(notice.name):
            held_fence = holding.credential.fence if holding.credential else 0
            if notice.kind is NoticeKind.FORGOTTEN and held_fence <= notice.fence:
                self._drop(holding.key)
            elif notice.kind is NoticeKind.COMMITTED and held_fence < notice.fence:
                self._stale[holding.key] = None
        if self._stale:
            self._filled.set()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._stale:
                keys = list(self._stale)[:BATCH]
                try:
                    records = await self._store.load([key.name for key in keys])
                    for key in keys:
                        await self._reconcile(key, records.get(key.name))
                        self._stale.pop(key, None)
                except StoreUnavailable:
                    break  # a CONNECTED follows, and names everything again

    async def _reconcile(self, key: CredentialKey, record: Record | None) -> None:
        """Let the newer of memory and store be in both."""
        holding = self._memory.find(key)
        held = holding.credential if holding else None
        if record and record.is_tombstone:
            if held and held.fence <= record.fence:
                self._drop(key)
            return
        stored = from_record(key, record) if record else None
        if stored is None or (held and held.fence > stored.fence):
            if held and held.is_valid(self._clock.now()):
                await self._store.offer(to_record(held))
        elif held and held.generation > stored.generation:
            await self._rebase(stored, held)
        else:
            self._memory.put(stored)

    async def _rebase(self, stored: Credential, held: Credential) -> None:
        """Keep the store's value under a number that is ahead of both.

        Ours was fetched while the store was away, and the store's was renewed since: callers have
        seen our generation, and it must not go back (rule 3).
        """
        fence = max(held.fence, stored.fence) + 1
        rebased = replace(stored, fence=fence, generation=fence)
        await self._store.offer(to_record(rebased))
        self._memory.put(rebased)

    def _drop(self, key: CredentialKey) -> None:
        gone = AppNotShared("the app is no longer shared with this corp", app=key.app, corp_id=key.corp_id)
        self._memory.drop(key, gone)
