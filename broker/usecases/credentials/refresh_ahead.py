"""Renew what is in use before its callers would have to wait."""

import asyncio
import heapq
from datetime import datetime, timedelta
from itertools import count

from broker.domain.credentials import (
    MOMENT,
    Credential,
    CredentialKey,
    Freshness,
    RefreshPolicy,
)
from broker.domain.errors import BrokerError, RetryLater
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
REFUSED_PAUSE = timedelta(seconds=5)
"""How long until another look at whether an error is still remembered."""
NAP = timedelta(seconds=1)
"""The longest sleep: a credential that is added meanwhile may be due earlier."""
MOST_OUTDATED = 1000
"""How many outdated entries are kept, beside one for each credential."""


Turn = tuple[float, int, str]
"""A moment, in seconds since 1970; a number, so that of equal moments the first comes first; a key's name."""
WaitingTurn = tuple[bool, float, int, str]
"""A turn after whether WeCom refused the last attempt: what is refused comes last, and delays no other."""


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
        self._due: list[Turn] = []
        """When each is due; what `CacheEntry.due` does not say any more is outdated."""
        self._waiting: list[WaitingTurn] = []
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
        entry = self._memory.find(credential.key)
        if entry is None or (entry.scheduled and entry.scheduled.fence == credential.fence):
            return  # one more caller has begun to watch it
        self._pace.seen(credential)
        due = credential.advisory_moment(self._policy)
        spread = self._randomness.jitter((credential.expires_at - due) / 5, 1.0)
        self._push(due + spread, entry)

    async def run(self) -> None:
        """Renew for ever."""
        before = self._clock.now()
        async with asyncio.TaskGroup() as tasks:
            while True:
                now = self._clock.now()
                if now < before - MOMENT:
                    self._schedule_anew()
                before = now
                self._collect(now.timestamp())
                while self._waiting and self._pace.admits():
                    *_, name = heapq.heappop(self._waiting)
                    entry = self._memory.named(name)
                    if entry and self._is_wanted(entry, self._clock.now()):
                        await self._slots.acquire()
                        self._pace.started(entry.key)
                        tasks.create_task(self._renew(entry.key))
                self._memory.sweep(now - KEPT_AFTER_EXPIRY, now - KEPT_AFTER_FAILURE)
                nap = NAP.total_seconds()
                if self._due:
                    nap = min(max(self._due[0][0] - self._clock.now().timestamp(), 0.0), nap)
                await self._clock.sleep(timedelta(seconds=nap))

    def _schedule_anew(self) -> None:
        """Forget when each is due: the clock was set back, and an attempt that failed may wait for hours."""
        self._due.clear()
        for entry in self._memory:
            entry.scheduled = None
            if entry.credential:
                self.schedule(entry.credential)

    def _collect(self, now: float) -> None:
        """Let what is due and wanted wait for its turn, and tell how long it can wait."""
        while self._due and self._due[0][0] <= now:
            moment, _, name = heapq.heappop(self._due)
            entry = self._memory.named(name)
            if entry is None or entry.scheduled is None or entry.due != moment:
                continue
            entry.scheduled = None
            if entry.credential is None or not self._is_wanted(entry, self._clock.now()):
                continue
            if self._engine.is_refused(entry.key):
                self._push(self._clock.now() + REFUSED_PAUSE, entry)
                continue
            gone = entry.credential.nearly_gone_at(self._policy).timestamp()
            # What failed because of an outage ends like the others; what was refused may be for ever.
            refused = entry.last_error is not None and not isinstance(entry.last_error, RetryLater)
            heapq.heappush(self._waiting, (refused, gone, next(self._turn), name))
        self._waiting.sort()
        self._pace.await_turns([gone for refused, gone, *_ in self._waiting if not refused])

    def _is_wanted(self, entry: CacheEntry, now: datetime) -> bool:
        """Return whether it is due, and was used since its last renewal or is watched.

        What has ended counts as used if it was asked for since.
        """
        credential = entry.credential
        if credential is None or not self._is_due(credential, now):
            return False
        has_ended = credential.expires_at + MOMENT < now
        since = credential.expires_at if has_ended else credential.renewed_at
        return entry.used_at >= since.timestamp() or bool(entry.watchers)

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
            self._push(max(entry.rests_until or now, soon), entry)

    def _is_due(self, credential: Credential, now: datetime) -> bool:
        return credential.freshness(now, self._policy) < Freshness.FRESH

    def _push(self, moment: datetime, entry: CacheEntry) -> None:
        entry.scheduled, entry.due = entry.credential, moment.timestamp()
        heapq.heappush(self._due, (entry.due, next(self._turn), entry.key.name))
        if len(self._due) > MOST_OUTDATED + 2 * len(self._memory):
            valid = sorted((known.due, known.key.name) for known in self._memory if known.scheduled)
            self._due = [(due, next(self._turn), name) for due, name in valid]
