"""Errors that stay true for a while, remembered by the whole fleet (engine rule 7).

Callers' traffic does not try a rejected secret again: WeCom bars the IP for an hour after repeated wrong
ones (wecom-api D, 45009). A credential that an outage kept from being fetched is tried again soon, then less
and less often.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from broker.domain import errors
from broker.domain.errors import BrokerError, RetryLater, StoreUnavailable
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.collection import Collection
from broker.domain.ports.store import Groups
from broker.domain.remembered_errors import RememberedError

MOST_REMEMBERED = 1000
"""Beyond this many, those that ended long ago are dropped."""
MOST_HELD = 20_000
"""Beyond this many, the one that was remembered first is dropped, whether it still applies or not."""
MOST_LISTED = 10_000
"""How many of one app an operator is shown, and a retry forgets."""
BATCH = 500
"""How many are loaded in one step."""


class RetryRule(NamedTuple):
    """How long an error is remembered: `first`, doubled with each repeat, at most `longest`."""

    first: timedelta
    longest: timedelta


HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)

RETRY_RULES: dict[type[BrokerError], RetryRule] = {
    errors.SecretRejected: RetryRule(HOUR, HOUR),
    errors.AppDisabled: RetryRule(10 * MINUTE, HOUR),
    # A saved change of the trusted addresses is active after a minute (wecom-api D, 60020).
    errors.IpNotTrusted: RetryRule(MINUTE, 10 * MINUTE),
    errors.ApiNotAuthorized: RetryRule(MINUTE, 10 * MINUTE),
    errors.ReauthorizationRequired: RetryRule(MINUTE, 10 * MINUTE),
    # Until the next ticket, which lifts it: WeCom pushes one every ten minutes (wecom-api B1).
    errors.SuiteTicketMissing: RetryRule(10 * SECOND, 10 * MINUTE),
    # A block lasts as long as the window that was hit: a minute, then an hour (wecom-api E).
    errors.RateLimited: RetryRule(MINUTE, HOUR),
    errors.WecomUnavailable: RetryRule(SECOND / 2, 30 * SECOND),
    errors.WecomProtocol: RetryRule(SECOND, MINUTE),
    errors.AppNotShared: RetryRule(10 * SECOND, MINUTE),
    errors.InvalidRequest: RetryRule(10 * SECOND, MINUTE),
}


class ErrorCache:
    """Remember errors by scope: a credential, or an endpoint of a corp. The store shares them fleet-wide."""

    def __init__(
        self,
        errors: Collection[str, RememberedError],
        groups: Groups,
        clock: Clock,
        randomness: Randomness,
        fingerprints: Mapping[str, str],
    ) -> None:
        self._errors = errors
        self._groups = groups
        self._clock = clock
        self._randomness = randomness
        self._fingerprints = fingerprints
        self._memory: dict[str, RememberedError] = {}
        self._ahead: dict[str, int] = {}
        """The number with which the store forgot a scope's error, where a clock was ahead that gave it."""
        self._room = MOST_REMEMBERED

    def held(self) -> Iterable[str]:
        """See `Copies.held`."""
        return [remembered.scope for remembered in self._memory.values()]

    def key_named(self, name: str) -> str | None:
        """See `Copies.key_named`."""
        remembered = self._memory.get(name)
        return remembered.scope if remembered else None

    def get(self, scope: str) -> RememberedError | None:
        """See `Copies.get`."""
        return self._memory.get(self._errors.name_of(scope))

    async def adopt(self, value: RememberedError) -> None:
        """See `Copies.adopt`."""
        held = self.get(value.scope)
        if held is None or held.fence < value.fence:
            self._put(value)

    def drop(self, scope: str) -> None:
        """See `Copies.drop`."""
        self._memory.pop(self._errors.name_of(scope), None)

    def active(self, scope: str, app: str = "") -> RememberedError | None:
        """Return the error that this replica remembers for the scope, if it still applies."""
        remembered = self.get(scope)
        if remembered is None or remembered.fingerprint != self._fingerprints.get(app, ""):
            return None
        return remembered if remembered.applies(self._clock.now()) else None

    def all_active(self) -> list[RememberedError]:
        """Return what this replica remembers and still applies."""
        return [each for each in self._memory.values() if self.active(each.scope, each.secret_of)]

    async def remembered(self, app: str = "") -> list[RememberedError]:
        """Return what the fleet remembers of an app's credentials and listings; without one, of endpoints.

        While the store is unavailable, it is what this replica remembers.
        """
        scopes = {known.scope for known in self._memory.values() if known.secret_of == app}
        with suppress(StoreUnavailable):
            listed = await self._groups.members(_group(app), 0, MOST_LISTED)
            for start in range(0, len(listed), BATCH):
                await self._adopt_stored(listed[start : start + BATCH])
            scopes.update(listed)
        return [active for scope in sorted(scopes) if (active := self.active(scope, app))]

    async def check(self, *scopes: str, app: str = "") -> None:
        """Raise what is remembered of any of the scopes, here or by another replica."""
        await self._recall([scope for scope in scopes if not self.active(scope, app)])
        for scope in scopes:
            if remembered := self.active(scope, app):
                raise remembered.as_error(self._clock.now())

    async def remember(self, scope: str, error: BrokerError, app: str = "") -> None:
        """Remember the error for as long as its kind says; sets its `retry_after`."""
        kind = next((kind for kind in type(error).__mro__ if kind in RETRY_RULES), None)
        if kind is None:
            return
        rule, now = RETRY_RULES[kind], self._clock.now()
        name = self._errors.name_of(scope)
        before = self._memory.get(name)
        streak, first_at = 0, now
        if before and now < before.until + 2 * rule.longest and not before.is_from_the_future(now):
            # A repeat soon after the last period ended makes the next one longer; a call that fails within
            # the period was begun before it, and adds no information.
            streak, first_at = before.streak + (now >= before.until), before.since
        length = min(rule.first * 2 ** min(streak, 20), rule.longest)
        # Jitter only lengthens it: a limit's window has to pass.
        length += abs(self._randomness.jitter(length) - length)
        if isinstance(error, RetryLater):
            length = max(length, error.retry_after or timedelta(0))
            error.retry_after = length
        error.remembered_as = scope
        remembered = RememberedError(
            scope=scope,
            fence=self._fence_after(scope, before),
            kind=kind,
            message=error.message,
            metadata=error.metadata,
            until=now + length,
            streak=streak,
            fingerprint=self._fingerprints.get(app, ""),
            first_at=first_at,
            last_at=now,
        )
        if len(self._memory) >= self._room:
            # Callers choose paths, and each is a scope; errors that ended long ago need no streak.
            self._memory = {name: kept for name, kept in self._memory.items() if now < kept.until + HOUR}
            # An error of a suite may be each of its corps': then few failures look for ended ones.
            self._room = max(MOST_REMEMBERED, 2 * len(self._memory))
        self._put(remembered)
        with suppress(StoreUnavailable):
            await self._errors.offer(remembered)
            await self._groups.enlist(_group(app), scope, remembered.until)

    async def forget(self, scope: str) -> None:
        """Forget the scope's error, because a call succeeded."""
        if remembered := self._memory.pop(self._errors.name_of(scope), None):
            with suppress(StoreUnavailable):
                await self._errors.forget(scope, self._fence_after(scope, remembered))

    async def lift(self, scope: str) -> None:
        """Forget the scope's error even if only another replica remembers it."""
        await self._recall([scope])
        await self.forget(scope)

    def _put(self, remembered: RememberedError) -> None:
        name = self._errors.name_of(remembered.scope)
        if name not in self._memory and len(self._memory) >= MOST_HELD:
            del self._memory[next(iter(self._memory))]
        self._memory[name] = remembered

    async def _recall(self, scopes: list[str]) -> None:
        with suppress(StoreUnavailable):
            await self._adopt_stored(scopes)

    async def _adopt_stored(self, scopes: list[str]) -> None:
        for scope, stored in (await self._errors.load(scopes)).items():
            if stored.value:
                await self.adopt(stored.value)
            elif stored.fence > self._present_fence():
                self._note_ahead(scope, stored.fence)

    def _note_ahead(self, scope: str, fence: int) -> None:
        if len(self._ahead) >= MOST_REMEMBERED:
            self._ahead.clear()
        self._ahead[scope] = fence

    def _fence_after(self, scope: str, before: RememberedError | None) -> int:
        """Return the present moment's number, or a later one if the clock was set back since."""
        present = self._present_fence()
        fence = max(present, before.fence + 1 if before else 0, self._ahead.pop(scope, 0) + 1)
        if fence > present:
            self._note_ahead(scope, fence)
        return fence

    def _present_fence(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _group(app: str) -> str:
    """Return the name under which the store lists the scopes of an app's errors."""
    return f"refusals:{app}"
