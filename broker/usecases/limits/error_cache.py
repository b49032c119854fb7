"""Errors that stay true for a while, remembered by the whole fleet (engine rule 7).

A rejected secret is not tried again by callers' traffic: several wrong ones, and WeCom bars the IP
for an hour (wecom-api D, 45009). An outage is tried again soon, then less and less often.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from broker.domain import errors
from broker.domain.errors import BrokerError, RetryLater, StoreUnavailable
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.store import Notice, NoticeKind, Record, Records

SCOPE = "refusal:"
SWEPT_AT = 1000
"""So many remembered errors are looked through for what is over."""


class Hold(NamedTuple):
    """How long an error is remembered: `first`, doubled with each repeat, at most `longest`."""

    first: timedelta
    longest: timedelta


HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)

HOLDS: dict[type[BrokerError], Hold] = {
    errors.SecretRejected: Hold(HOUR, HOUR),
    errors.AppDisabled: Hold(10 * MINUTE, HOUR),
    # A saved change of the trusted addresses is active after a minute (wecom-api D, 60020).
    errors.IpNotTrusted: Hold(MINUTE, 10 * MINUTE),
    errors.ApiNotAuthorized: Hold(MINUTE, 10 * MINUTE),
    errors.ReauthorizationRequired: Hold(MINUTE, 10 * MINUTE),
    errors.SuiteTicketMissing: Hold(SECOND, 10 * SECOND),
    # A block lasts as long as the window that was hit: a minute, then an hour (wecom-api E).
    errors.RateLimited: Hold(MINUTE, HOUR),
    errors.WecomUnavailable: Hold(SECOND / 2, 30 * SECOND),
    errors.WecomProtocol: Hold(SECOND, MINUTE),
    errors.AppNotShared: Hold(10 * SECOND, MINUTE),
    errors.InvalidRequest: Hold(10 * SECOND, MINUTE),
}


@dataclass(frozen=True, slots=True)
class RememberedError:
    """One remembered error."""

    error: BrokerError
    until: datetime
    streak: int
    fingerprint: str
    """The fingerprint of the secret that was refused: another secret is another story."""


class ErrorCache:
    """Remember errors by scope: a credential, or an endpoint of a corp. The store makes them the fleet's."""

    def __init__(
        self, records: Records, clock: Clock, randomness: Randomness, fingerprints: Mapping[str, str]
    ) -> None:
        self._records = records
        self._clock = clock
        self._randomness = randomness
        self._fingerprints = fingerprints
        self._memory: dict[str, RememberedError] = {}

    def on_notice(self, notice: Notice) -> None:
        """Drop what another replica has forgotten."""
        if notice.kind is NoticeKind.FORGOTTEN and notice.name.startswith(SCOPE):
            self._memory.pop(notice.name.removeprefix(SCOPE), None)

    def standing(self, scope: str, app: str = "") -> RememberedError | None:
        """Return what this replica remembers and still holds."""
        refusal = self._memory.get(scope)
        if (
            refusal
            and refusal.fingerprint == self._fingerprints.get(app, "")
            and self._clock.now() < refusal.until
        ):
            return refusal
        return None

    async def check(self, *scopes: str, app: str = "") -> None:
        """Raise what is remembered of any of the scopes, here or by another replica."""
        await self._recall([scope for scope in scopes if not self.standing(scope, app)])
        for scope in scopes:
            if refusal := self.standing(scope, app):
                raise _again(refusal, self._clock.now())

    async def remember(self, scope: str, error: BrokerError, app: str = "") -> None:
        """Keep the error in mind for as long as its kind says; sets its `retry_after`."""
        hold = _hold_of(error)
        if hold is None:
            return
        now = self._clock.now()
        before = self._memory.get(scope)
        streak = 0
        if before and now < before.until + 2 * hold.longest:
            # A repeat soon after the last hold ended makes the next one longer; what fails while it lasts
            # began before it, and tells nothing new.
            streak = before.streak + (now >= before.until)
        length = min(hold.first * 2 ** min(streak, 20), hold.longest)
        # Spread, and never shorter: a limit's window has to pass.
        length += abs(self._randomness.jitter(length) - length)
        if isinstance(error, RetryLater):
            length = max(length, error.retry_after or timedelta(0))
            error.retry_after = length
        refusal = RememberedError(error, now + length, streak, self._fingerprints.get(app, ""))
        error.remembered = True
        if len(self._memory) >= SWEPT_AT:
            # Callers choose paths, and each is a scope; what is long over need not be kept for its streak.
            self._memory = {name: kept for name, kept in self._memory.items() if now < kept.until + HOUR}
        self._memory[scope] = refusal
        with suppress(StoreUnavailable):
            await self._records.offer(_to_record(scope, refusal, now))

    async def forget(self, scope: str) -> None:
        """Forget the scope, because it worked."""
        if self._memory.pop(scope, None):
            with suppress(StoreUnavailable):
                await self._records.forget(SCOPE + scope, _moment(self._clock.now()))

    async def lift(self, scope: str) -> None:
        """Forget the scope even if only another replica remembers it."""
        await self._recall([scope])
        await self.forget(scope)

    async def _recall(self, scopes: list[str]) -> None:
        with suppress(StoreUnavailable):
            for name, record in (await self._records.load([SCOPE + scope for scope in scopes])).items():
                if not record.is_tombstone:
                    self._memory[name.removeprefix(SCOPE)] = _from_record(record)


def _hold_of(error: BrokerError) -> Hold | None:
    return next((HOLDS[kind] for kind in type(error).__mro__ if kind in HOLDS), None)


def _again(refusal: RememberedError, now: datetime) -> BrokerError:
    error = refusal.error.with_traceback(None)
    if isinstance(error, RetryLater):
        error.retry_after = max(refusal.until - now, timedelta(milliseconds=1))
    return error


def _moment(now: datetime) -> int:
    return int(now.timestamp() * 1000)


_BY_REASON = {kind.reason: kind for kind in HOLDS}


def _to_record(scope: str, refusal: RememberedError, now: datetime) -> Record:
    payload = {
        "reason": refusal.error.reason,
        "message": refusal.error.message,
        "metadata": refusal.error.metadata,
        "until": refusal.until.timestamp(),
        "streak": refusal.streak,
        "mark": refusal.fingerprint,
    }
    kept = refusal.until + (refusal.until - now)
    return Record(SCOPE + scope, _moment(now), json.dumps(payload).encode(), kept)


def _from_record(record: Record) -> RememberedError:
    payload = json.loads(record.payload)
    kind = _BY_REASON[payload["reason"]]
    error = kind.__new__(kind)
    BrokerError.__init__(error, payload["message"], **payload["metadata"])
    error.remembered = True
    until = datetime.fromtimestamp(payload["until"], UTC)
    return RememberedError(error, until, payload["streak"], payload["mark"])
