"""Renew what is in use before its callers would have to wait."""

import asyncio
import heapq
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

from broker.domain.credentials import (
    Credential,
    CredentialKey,
    Freshness,
    RefreshPolicy,
)
from broker.domain.errors import BrokerError
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.observer import Observer
from broker.usecases.credentials.cache import CacheEntry, CredentialCache
from broker.usecases.credentials.engine import PAUSE, CredentialEngine
from broker.usecases.credentials.renewal_pace import RenewalPace
from broker.usecases.limits.recovery_budget import begin_recovery_budget

RENEWALS_AT_ONCE = 16
"""How many renewals run in the background at the same time."""
KEPT_AFTER_EXPIRY = timedelta(minutes=10)
"""How long an expired credential that nobody asks for stays in memory."""
KEPT_AFTER_FAILURE = timedelta(days=1)
"""How long an operator can see why a credential could not be fetched."""
NAP = timedelta(seconds=1)
"""The longest sleep: a credential that is added meanwhile may be due earlier."""
MOST_OUTDATED = 1000
"""How many outdated entries are kept, beside one for each credential."""


class _Moment(NamedTuple):
    """When a credential is due, and the commit that it is of."""

    at: datetime
    fence: int


_Entry = tuple[datetime, int, CredentialKey]


class RefreshAhead:
    """Renew credentials that somebody uses or watches, as soon as they age."""

    def __init__(
        self,
        engine: CredentialEngine,
        memory: CredentialCache,
        pace: RenewalPace,
        clock: Clock,
        randomness: Randomness,
        *,
        policy: RefreshPolicy,
        observer: Observer,
    ) -> None:
        self._engine = engine
        self._memory = memory
        self._pace = pace
        self._clock = clock
        self._randomness = randomness
        self._policy = policy
        self._observer = observer
        self._due: list[_Entry] = []
        self._moments: dict[CredentialKey, _Moment] = {}
        """The valid moment of each key: other entries for it in `_due` are outdated."""
        self._waiting: list[_Entry] = []
        """What is due, by its end: a backlog is worked off at the pace that is set for it."""
        self._turn = count()
        self._slots = asyncio.Semaphore(RENEWALS_AT_ONCE)
        memory.on_put(self.schedule)

    @property
    def scheduled(self) -> int:
        """Return how many entries wait for their moment, outdated ones too."""
        return len(self._due)

    def schedule(self, credential: Credential) -> None:
        """Remember when the credential ages; a little later, so that not all are renewed at once."""
        known = self._moments.get(credential.key)
        if known and known.fence == credential.fence:
            return  # one more caller has begun to watch it
        self._pace.seen(credential)
        due = credential.advisory_moment(self._policy)
        spread = self._randomness.jitter((credential.expires_at - due) / 5, 1.0)
        self._push(due + spread, credential)

    async def run(self) -> None:
        """Renew for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                now = self._clock.now()
                self._collect(now)
                while self._waiting and self._pace.admits():
                    _, _, key = heapq.heappop(self._waiting)
                    entry = self._memory.find(key)
                    if entry and self._is_wanted(entry, self._clock.now()):
                        await self._slots.acquire()
                        self._pace.started(key)
                        tasks.create_task(self._renew(key))
                self._memory.sweep(now - KEPT_AFTER_EXPIRY, now - KEPT_AFTER_FAILURE)
                wake = self._due[0][0] - self._clock.now() if self._due else NAP
                await self._clock.sleep(min(max(wake, timedelta(0)), NAP))

    def _collect(self, now: datetime) -> None:
        """Let what is due and wanted wait for its turn, and tell how long it can wait."""
        while self._due and self._due[0][0] <= now:
            moment, _, key = heapq.heappop(self._due)
            known = self._moments.get(key)
            if known is None or known.at != moment:
                continue
            del self._moments[key]
            entry = self._memory.find(key)
            if entry and entry.credential and self._is_wanted(entry, now):
                gone = entry.credential.nearly_gone_at(self._policy)
                heapq.heappush(self._waiting, (gone, next(self._turn), key))
        self._waiting.sort()
        self._pace.await_turns([gone for gone, _, _ in self._waiting])

    def _is_wanted(self, entry: CacheEntry, now: datetime) -> bool:
        """Return whether it is due, and was used since its last renewal or is watched."""
        credential = entry.credential
        if credential is None or not self._is_due(credential, now):
            return False
        return entry.used_at >= credential.renewed_at.timestamp() or bool(entry.watchers)

    async def _renew(self, key: CredentialKey) -> None:
        begin_recovery_budget()
        try:
            if flight := self._engine.renew_ahead(key):
                await asyncio.shield(flight)
        except BrokerError:
            pass  # the engine has recorded it; it is tried again after its pause
        except Exception as error:  # noqa: BLE001 - one credential's failure must not end the others' renewals
            self._observer.background_failed(f"renewing {key.name}", error)
        finally:
            self._slots.release()
            self._pace.ended(key)
        entry, now = self._memory.find(key), self._clock.now()
        if entry and entry.credential and self._is_due(entry.credential, now):
            # It failed, or WeCom had nothing better: try again later.
            soon = entry.credential.expires_at if entry.credential.ends_before_an_answer(now) else now + PAUSE
            self._push(max(entry.rests_until or now, soon), entry.credential)

    def _is_due(self, credential: Credential, now: datetime) -> bool:
        return credential.freshness(now, self._policy) < Freshness.FRESH

    def _push(self, moment: datetime, credential: Credential) -> None:
        self._moments[credential.key] = _Moment(moment, credential.fence)
        heapq.heappush(self._due, (moment, next(self._turn), credential.key))
        if len(self._due) > MOST_OUTDATED + 2 * len(self._moments):
            self._due = [(known.at, next(self._turn), key) for key, known in self._moments.items()]
            heapq.heapify(self._due)
