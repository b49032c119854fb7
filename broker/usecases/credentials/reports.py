"""Reports that WeCom calls a credential dead, and how they are handled (engine rule 6)."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import datetime  # noqa: TC003 - beside the other imports
from enum import StrEnum
from typing import Protocol

from broker.domain.credentials import NO_TIME, Credential, CredentialKey, RefreshPolicy
from broker.domain.errors import BrokerError, RetryLater, StoreUnavailable, WecomProtocol
from broker.domain.ports.clock import Clock
from broker.domain.ports.store import Counters, Lease
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.fleet.background import Background
from broker.usecases.fleet.leased_flight import Turn
from broker.usecases.fleet.single_flight import SingleFlight
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.limits.forced import NOBODY, ForcedFetches


class ReportOutcome(StrEnum):
    """The outcome of a report."""

    ROTATED = "rotated"
    ALREADY_ROTATED = "already_rotated"
    UNCHANGED = "unchanged"
    COOLING_DOWN = "cooling_down"


class Fetching(Protocol):
    """What a report needs from the engine."""

    async def get(self, key: CredentialKey) -> Credential:
        """Return a credential that is valid now."""

    async def look(self, key: CredentialKey) -> Credential | None:
        """Return what the store holds."""

    def turns(self, key: CredentialKey) -> AsyncGenerator[Turn[Credential], None]:
        """Yield turns to look at the store and to fetch."""

    async def fetch_and_commit(self, key: CredentialKey, lease: Lease, *, urgent: bool) -> Credential | None:
        """Fetch from WeCom and commit; None if the lease was lost meanwhile."""


Asked = tuple[CredentialKey, str]
"""What is to be replaced, and for which caller."""


class Reports:
    """Replace what is reported dead: once for each generation, and within the cooldown's limit."""

    def __init__(  # noqa: PLR0917 - each is the engine's, and given once
        self,
        engine: Fetching,
        memory: CredentialCache,
        counters: Counters,
        forced: ForcedFetches,
        errors: ErrorCache,
        clock: Clock,
        policy: RefreshPolicy,
        tasks: Background,
    ) -> None:
        self._engine = engine
        self._memory = memory
        self._counters = counters
        self._forced = forced
        self._errors = errors
        self._clock = clock
        self._policy = policy
        self._flights: SingleFlight[Asked, tuple[ReportOutcome, Credential]] = SingleFlight(tasks)
        """By the caller, too: one that is over its limit is refused alone."""
        self._forced_offline: dict[CredentialKey, datetime] = {}

    async def replace(
        self, key: CredentialKey, generation: int, by: str = NOBODY
    ) -> tuple[ReportOutcome, Credential]:
        """Fetch anew if that generation is current and nobody forced a fetch a moment ago.

        The fetch counts for the caller `by`. Raises `CallerLimited`.
        """
        current = await self._engine.get(key)
        if generation > current.generation:
            # Another replica handed it out, and its notice has not arrived yet.
            with suppress(StoreUnavailable):
                current = await self._engine.look(key) or current
        if self._takes_the_place(current, generation):
            return ReportOutcome.ALREADY_ROTATED, current
        return await self._flights.join((key, by), lambda: self._replace(key, generation, by))

    async def _replace(
        self, key: CredentialKey, generation: int, by: str
    ) -> tuple[ReportOutcome, Credential]:
        """Replace that generation, under the lease."""
        forced, known = False, self._failures(key)
        async with aclosing(self._engine.turns(key)) as turns:
            async for turn in turns:
                if turn.stored and self._takes_the_place(turn.stored, generation):
                    return _rotated(forced=forced), turn.stored
                if turn.lease is None:
                    continue
                held = self._memory.get(key)
                # An expired credential must be fetched in any case.
                if held and held.is_valid(self._clock.now()):
                    forced = await self._may_force(key, by)
                    if not forced:
                        failed = await self.failure(key)
                        if failed and self._failures(key) != known:
                            # Another caller's report forced the fetch while this one waited.
                            raise failed
                        return ReportOutcome.COOLING_DOWN, held
                fetched = await self._engine.fetch_and_commit(key, turn.lease, urgent=True)
                if fetched:
                    unchanged = fetched.generation == generation
                    return ReportOutcome.UNCHANGED if unchanged else _rotated(forced=forced), fetched
        raise AssertionError("turns end only when they are closed")

    def _takes_the_place(self, found: Credential, generation: int) -> bool:
        """Return whether it serves instead; it may have ended while this replica waited for the store."""
        return found.generation != generation and found.is_valid(self._clock.now())

    async def failure(self, key: CredentialKey) -> BrokerError | None:
        """Return why the fleet could fetch nothing newer than is held, to be raised; None if it could."""
        last = self._last_error(key)
        # A refusal of the token that it is fetched with is remembered under that token's name alone.
        scopes = [key.name, last.remembered_as] if last and last.remembered else [key.name]
        try:
            await self._errors.check(*scopes, app=key.app)
        except BrokerError as remembered:
            return remembered
        # What was refused is remembered, unless somebody has mended it. These nobody mends, and they may be
        # remembered for a moment only. One error is raised again and again: each time would add to its
        # traceback.
        return last.with_traceback(None) if isinstance(last, RetryLater | WecomProtocol) else None

    def _failures(self, key: CredentialKey) -> tuple[BrokerError | None, int]:
        """Return the last failure here, and the number of the last one in the fleet."""
        remembered = self._errors.active(key.name, key.app)
        return self._last_error(key), remembered.fence if remembered else 0

    def _last_error(self, key: CredentialKey) -> BrokerError | None:
        entry = self._memory.find(key)
        return entry.last_error if entry else None

    async def _may_force(self, key: CredentialKey, by: str) -> bool:
        """Return whether to force a fetch, counted for the caller. Raises `CallerLimited`."""
        if await self._is_cooling_down(key):
            return False
        await self._forced.spend(by, key)
        return await self._claim_forced_fetch(key)

    async def _is_cooling_down(self, key: CredentialKey) -> bool:
        name = f"forced:{key.name}"
        try:
            return (await self._counters.counts([name]))[name] > 0
        except StoreUnavailable:
            return self._cools_down_offline(key)

    async def _claim_forced_fetch(self, key: CredentialKey) -> bool:
        """Return whether no forced fetch of this credential happened during the cooldown, fleet-wide."""
        try:
            return await self._counters.count(f"forced:{key.name}", self._policy.cooldown) == 1
        except StoreUnavailable:
            if self._cools_down_offline(key):
                return False
            now = self._clock.now()
            begins = now - self._policy.cooldown
            self._forced_offline = {each: at for each, at in self._forced_offline.items() if at > begins}
            self._forced_offline[key] = now
            return True

    def _cools_down_offline(self, key: CredentialKey) -> bool:
        """Return whether one was forced a moment ago; not in the future, as before a clock was set back."""
        last = self._forced_offline.get(key)
        return last is not None and NO_TIME <= self._clock.now() - last < self._policy.cooldown


def _rotated(*, forced: bool) -> ReportOutcome:
    return ReportOutcome.ROTATED if forced else ReportOutcome.ALREADY_ROTATED
