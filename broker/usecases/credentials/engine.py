"""The engine: every credential fetched once for the whole fleet, kept fresh, and handed out.

Rule 1. No fetch from WeCom without the lease of that credential: one fetch per rotation for the fleet.
Rule 2. Look at the store again after taking the lease, and after waiting for whoever holds it.
Rule 3. A commit carries the lease's fencing number; the store drops one that is older than what it
        holds, and one whose lease was lost. The number never goes back, even if the store lost its data.
Rule 4. A failed refresh never replaces a valid credential. Fresh: serve. Ageing: serve, and refresh in
        the background. Nearly gone: wait for the refresh, serve what is valid if it fails, and don't
        make every call wait for an attempt that fails.
Rule 5. A repeated value does not get a later expiry before its old one has passed, and after it only for as
        long again as it has outlived it: WeCom's own end may be a moment later. If WeCom repeats a value
        that expires before it can be used, ask again after it has expired: that is no outage, no caller
        is refused for it, no error is remembered. While WeCom repeats a value, nobody waits for it again.
Rule 6. A report compares first: an old generation changes nothing. One forced fetch per credential per
        cooldown over the whole fleet. A child fetch that finds the parent's token dead replaces that
        generation, once.
Rule 7. Errors are remembered for as long as they are true (`error_cache`). Calls that consume a code are
        never repeated. An outage is a share of many calls failing within a window, for one app, corp and
        endpoint, and probes still go through; one bad answer concerns only that call (`circuit_breaker`).
Rule 8. The key of a credential never holds a secret (`CredentialKey`).
Rule 9. Notices wake waiters, with a bounded poll as a fallback; on (re)connecting: subscribe first, then
        compare everything in memory with the store.
Rule 10. Without the store, valid credentials in memory are served, and new ones are fetched under a lease of
        this replica alone. Without WeCom, valid credentials are served until they expire.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Protocol, TypeVar

from broker.domain.audit import AuditRecord
from broker.domain.credentials import (
    MOMENT,
    NO_TIME,
    Credential,
    CredentialKey,
    Freshness,
    Grant,
    Need,
    RefreshPolicy,
)
from broker.domain.errors import (
    AppNotShared,
    BrokerError,
    RetryLater,
    StoreUnavailable,
    TokenRejected,
    WecomUnavailable,
)
from broker.domain.ports.audit import AuditTrail
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.ports.store import Counters, Lease
from broker.usecases.credentials.cache import CacheEntry, CredentialCache
from broker.usecases.credentials.renewal_pace import RenewalPace
from broker.usecases.credentials.reports import ReportOutcome, Reports
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.leased_flight import LeasedFlight, Turn
from broker.usecases.fleet.replicated import Replicated
from broker.usecases.fleet.single_flight import SingleFlight
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.limits.forced import NOBODY, ForcedFetches
from broker.usecases.limits.recovery_budget import current_recovery_budget

PAUSE = timedelta(seconds=1)
"""How long no caller waits for another attempt after a failed one, unless the error asks for longer."""

ATTEMPTS = 3
BETWEEN_ATTEMPTS = timedelta(milliseconds=200)
"""WeCom gives another value once the old one has ended by its own clock, a moment after the broker's."""

Answer = TypeVar("Answer")


class CredentialSource(Protocol):
    """Where a credential comes from: the one place that knows the chain."""

    async def fetch(self, key: CredentialKey, engine: "CredentialEngine", *, need: Need) -> Grant:
        """Fetch it from WeCom, with other credentials of the engine where the chain needs them.

        A quota may have a part for each need.
        """


class CredentialEngine:
    """Hand out credentials. It lives as long as the broker."""

    def __init__(
        self,
        *,
        replicated: Replicated[CredentialKey, Credential],
        counters: Counters,
        forced: ForcedFetches,
        source: CredentialSource,
        memory: CredentialCache,
        pace: RenewalPace,
        fleet: LeasedFlight,
        error_cache: ErrorCache,
        clock: Clock,
        policy: RefreshPolicy,
        observer: Observer,
        audit: AuditTrail,
        tasks: Background,
        on_unshared: Callable[[CredentialKey], None],
    ) -> None:
        self._replicated = replicated
        self._counters = counters
        self._forced = forced
        self._source = source
        self._memory = memory
        self._pace = pace
        self._fleet = fleet
        self._error_cache = error_cache
        self._clock = clock
        self._policy = policy
        self._observer = observer
        self._audit = audit
        self.on_unshared = on_unshared
        """Called with a key for which WeCom answered that the child does not have the app (670001)."""
        self._renewals: SingleFlight[CredentialKey, Credential] = SingleFlight(tasks)
        self._reports = Reports(self, memory, counters, forced, error_cache, clock, policy, tasks)

    # --- handing out

    async def get(self, key: CredentialKey, min_ttl: timedelta = NO_TIME, by: str = NOBODY) -> Credential:
        """Return a valid credential: memory → store → lease → look again → fetch → commit → notify.

        A fetch for `min_ttl` alone counts for the caller `by`; beyond its limit it gets what is held.
        Raises what kept the fetch from succeeding, if nothing valid is left to serve.
        """
        entry = self._memory.find(key)
        held = entry.credential if entry else None
        if entry is None or held is None:
            return await self._renewed(key, min_ttl)
        seconds = entry.used_at = self._clock.seconds()
        if seconds < entry.fresh_until and not min_ttl:
            return held
        now = self._clock.now()
        if min_ttl and (held.is_repeated or self._forced.is_spent(by)):
            # WeCom repeats this value until it ends: another fetch brings nothing.
            min_ttl = NO_TIME
        freshness = held.freshness(now, self._policy, min_ttl)
        if freshness is Freshness.NEARLY_GONE:
            if self._rests(entry) or held.renewed_lately(now, self._policy):
                return held
            if held.outlasts_asking(now, self._policy):
                freshness = Freshness.AGEING
        if freshness <= Freshness.NEARLY_GONE:
            return await self._renewed(key, min_ttl, by)
        if freshness is Freshness.AGEING and not self._renewals.running(key) and self._pace.admits():
            self._renew_at_the_pace(key)
        return held

    async def using(self, key: CredentialKey, call: Callable[[Credential], Awaitable[Answer]]) -> Answer:
        """Call WeCom with the credential; if it turns out dead, replace that generation and call once more.

        A call that consumes a code may raise `TokenRejected` only where WeCom has not read the code.
        Raises `WecomUnavailable` if WeCom refuses the new one too, and what kept a new one away.
        """
        budget = current_recovery_budget()
        credential = await self.get(key)
        try:
            return await self._called(call, credential)
        except TokenRejected as died:
            if budget.affords(2):
                _, replaced = await self.replace(key, credential.generation)
                if replaced.generation == credential.generation:
                    raise await self._reports.failure(key) or self._given_up(died) from None
                credential = replaced
            elif not budget.affords(1):
                raise self._given_up(died) from None
            # Else WeCom accepted this token a moment ago, for this same request: its answer may be a mistake.
        try:
            return await self._called(call, credential)
        except TokenRejected as died:
            raise self._given_up(died) from None

    async def _called(self, call: Callable[[Credential], Awaitable[Answer]], token: Credential) -> Answer:
        current_recovery_budget().step()
        try:
            return await call(token)
        except AppNotShared:
            self.on_unshared(token.key)
            raise

    async def watch(self, key: CredentialKey) -> AsyncGenerator[Credential, None]:
        """Yield the current credential first, then each new value; a slow reader skips to the newest."""
        with self._memory.watching(key) as latest:
            current = await self.get(key)
            yield current
            async for credential in latest:
                if credential.generation > current.generation:
                    current = credential
                    yield current

    async def replace(
        self, key: CredentialKey, generation: int, by: str = NOBODY
    ) -> tuple[ReportOutcome, Credential]:
        """Fetch anew if that generation is current and nobody forced a fetch a moment ago (rule 6).

        Raises `CallerLimited` where the caller `by` has forced too many.
        """
        return await self._reports.replace(key, generation, by)

    async def refresh(self, key: CredentialKey, by: str = NOBODY) -> tuple[bool, Credential]:
        """Fetch anew for an operator, despite remembered errors; also return whether the value changed.

        Raises `CallerLimited` where the caller `by` has forced too many.
        """
        # Before the errors are lifted, which keep callers' traffic from trying.
        self._forced.check(by)
        with suppress(StoreUnavailable):
            # WeCom bars the IP after repeated attempts with a wrong secret (wecom-api D, 45009).
            if await self._counters.count(f"lifted:{key.name}", self._policy.cooldown) == 1:
                await self._error_cache.lift(key.name)
        before, began = self._memory.get(key), self._clock.now()
        after = await self._obtain(key, lambda stored: stored.renewed_at >= began, urgent=True, forced_by=by)
        return before is None or after.generation != before.generation, after

    # --- renewing

    def is_refused(self, key: CredentialKey) -> bool:
        """Return whether a fetch would be answered with an error that this replica remembers."""
        return self._error_cache.active(key.name, key.app) is not None

    def renew_ahead(self, key: CredentialKey) -> asyncio.Future[Credential] | None:
        """Renew in the background unless that is under way or failed a moment ago.

        Not done without the store: replicas that fetch separate tokens could invalidate each other's.
        """
        entry = self._memory.find(key)
        if entry and (self._rests(entry) or entry.is_at_its_end(self._clock.now())):
            return None
        return self._renewals.start(key, lambda: self._renew(key, NO_TIME, ahead=True))

    def _renew_at_the_pace(self, key: CredentialKey) -> None:
        if flight := self.renew_ahead(key):
            self._pace.started(key)
            flight.add_done_callback(lambda _: self._pace.ended(key))

    async def _renewed(self, key: CredentialKey, min_ttl: timedelta, by: str = NOBODY) -> Credential:
        """Wait for the renewal; serve what is valid if it fails (rule 4)."""
        try:
            try:
                credential = await self._renewals.join(key, lambda: self._renew(key, min_ttl, by=by))
                again = not self._will_do(credential, min_ttl)
            except StoreUnavailable:
                again = True
            if again:
                # The renewal under way was begun for a smaller `min_ttl`, or may not fetch without the store.
                credential = await self._renewals.join(key, lambda: self._renew(key, min_ttl, by=by))
        except BrokerError:
            held = self._memory.get(key)
            if held is None or not held.is_valid(self._clock.now()):
                raise
            credential = held
        if entry := self._memory.find(key):
            entry.used_at = self._clock.seconds()
        return credential

    async def _renew(
        self, key: CredentialKey, min_ttl: timedelta, *, ahead: bool = False, by: str = NOBODY
    ) -> Credential:
        """Return a fresh enough credential: the store's if another replica was quicker, else WeCom's."""
        enough = Freshness.FRESH if ahead else Freshness.AGEING
        try:
            return await self._obtain(
                key,
                lambda stored: self._will_do(stored, min_ttl, enough),
                allow_offline=not ahead,
                forced_by=by if min_ttl and self._is_forced(key) else NOBODY,
            )
        except StoreUnavailable as error:
            rest = max(PAUSE, error.retry_after or PAUSE)
            self._memory.hold(key).rests_until = self._clock.now() + rest
            raise

    async def _obtain(
        self,
        key: CredentialKey,
        will_do: Callable[[Credential], bool],
        *,
        allow_offline: bool = True,
        urgent: bool = False,
        forced_by: str = NOBODY,
    ) -> Credential:
        """Return what the store holds if it is good enough, else fetch under the lease (rules 1, 2, 10)."""
        async with aclosing(self.turns(key, allow_offline=allow_offline)) as turns:
            async for turn in turns:
                if turn.stored and will_do(turn.stored):
                    return turn.stored
                if turn.lease and forced_by:
                    await self._forced.spend(forced_by, key)
                if turn.lease and (fetched := await self.fetch_and_commit(key, turn.lease, urgent=urgent)):
                    return fetched
        raise AssertionError("turns end only when they are closed")

    def turns(
        self, key: CredentialKey, *, allow_offline: bool = True
    ) -> AsyncGenerator[Turn[Credential], None]:
        """Yield turns to look at the store and to fetch: see `LeasedFlight.turns`."""
        held = self._memory.get(key)
        return self._fleet.turns(
            self._replicated,
            key,
            stage=f"{key.kind}:{key.share_kind}",
            above=held.fence if held else 0,
            allow_offline=allow_offline,
        )

    async def look(self, key: CredentialKey) -> Credential | None:
        """Return the newer of what store and memory hold; None if the store holds nothing."""
        return await self._replicated.look(key)

    async def fetch_and_commit(self, key: CredentialKey, lease: Lease, *, urgent: bool) -> Credential | None:
        """Fetch from WeCom and commit (rule 3); None if the lease was lost meanwhile."""
        try:
            await self._error_cache.check(key.name, app=key.app)
            credential = await self._fetched(key, lease, urgent=urgent)
        except BrokerError as raised:
            # A fetch with the app's secret uses no token that could be dead: WeCom's answer is wrong.
            error = self._given_up(raised) if isinstance(raised, TokenRejected) else raised
            await self._note_failure(key, error)
            raise error from None
        if not await self._replicated.publish(key, credential, lease):
            self._observer.refreshed(key.name, key.kind, "superseded")
            return None
        await self._error_cache.forget(key.name)
        is_new = credential.generation == lease.fence
        self._observer.refreshed(key.name, key.kind, "rotated" if is_new else "unchanged")
        if is_new:
            self._audit.write(AuditRecord.rotation(self._clock.now(), credential))
        return credential

    async def _fetched(self, key: CredentialKey, lease: Lease, *, urgent: bool) -> Credential:
        """Return what WeCom gives; where that has ended by now, ask again a moment later (rule 5)."""
        budget = current_recovery_budget()
        taken = budget.steps
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._clock.sleep(BETWEEN_ATTEMPTS)
                budget.steps = taken
            began = self._clock.now()
            need = self._need(key, urgent=urgent)
            grant = await self._source.fetch(key, self, need=need)
            asked_at, now = grant.asked_at or began, self._clock.now()
            if asked_at > now:
                # The answer itself may have shown that this machine's clock was ahead, and set it back.
                asked_at = now - MOMENT
            credential = grant.credential(key, lease.fence, asked_at, self._memory.get(key))
            if credential.is_valid(now):
                return credential
        raise WecomUnavailable("WeCom gave a value that ran out while it was fetched")

    async def _note_failure(self, key: CredentialKey, error: BrokerError) -> None:
        if not error.remembered:
            await self._error_cache.remember(key.name, error, app=key.app)
            if isinstance(error, AppNotShared):
                self.on_unshared(key)
        entry = self._memory.hold(key)
        now = self._clock.now()
        entry.rests_until = now + (error.retry_after or PAUSE if isinstance(error, RetryLater) else PAUSE)
        entry.last_error, entry.last_error_at = error, now
        self._observer.refreshed(key.name, key.kind, "failed", error)

    # --- helpers

    def _will_do(
        self, credential: Credential, min_ttl: timedelta, enough: Freshness = Freshness.AGEING
    ) -> bool:
        """Return whether it is fresh enough, or as fresh as WeCom has it."""
        now = self._clock.now()
        if credential.freshness(now, self._policy, min_ttl) >= enough:
            return True
        nobody_waits = enough is Freshness.AGEING and credential.outlasts_asking(now, self._policy)
        return nobody_waits or credential.renewed_lately(now, self._policy)

    def _need(self, key: CredentialKey, *, urgent: bool) -> Need:
        """Return why it is fetched: what has expired serves nobody, whoever asks for another one."""
        held = self._memory.get(key)
        if held is None or not held.is_valid(self._clock.now()):
            return Need.FIRST
        return Need.REPLACEMENT if urgent else Need.RENEWAL

    def _is_forced(self, key: CredentialKey) -> bool:
        """Return whether nobody would have to wait for this credential without a `min_ttl`."""
        held = self._memory.get(key)
        return held is not None and held.freshness(self._clock.now(), self._policy) > Freshness.NEARLY_GONE

    def _rests(self, entry: CacheEntry) -> bool:
        now = self._clock.now()
        # A failure in the future dates from before the clock was set back.
        is_past = entry.last_error_at is None or entry.last_error_at <= now + MOMENT
        return entry.rests_until is not None and now < entry.rests_until and is_past

    def _given_up(self, died: TokenRejected) -> WecomUnavailable:
        """Return an error that says to wait: WeCom rejects a token that it has just given."""
        return WecomUnavailable(died.message, self._policy.cooldown, **died.metadata)
