"""What WeCom refused and the fleet remembers, as an operator sees it, and as an operator has it forgotten.

A retry must not get the IP banned: WeCom bars an address for an hour after several wrong secrets (wecom-api
D, 45009). So an app is retried once a minute at most, and a refused secret three times an hour.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.domain.closed_endpoints import ClosedEndpoint
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey, CredentialKind
from broker.domain.errors import CallerLimited, SecretRejected
from broker.domain.ports.store import Counters
from broker.domain.remembered_errors import RememberedError
from broker.domain.replica.report import Meeting
from broker.domain.suites.catalog import Catalog
from broker.usecases.credentials.cache import CredentialCache
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.refusals.meetings import Meetings
from broker.usecases.refusals.remedies import Whose, remedy_of

INTERVAL = timedelta(minutes=1)
"""How often the refusals of one app may be forgotten."""
SECRET_WINDOW, SECRET_TRIES = timedelta(hours=1), 3
"""How often a secret that WeCom refused may be tried again because an operator says so."""
FORGOTTEN_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Refusal:
    """One remembered error."""

    app: str
    """Empty where WeCom closed an endpoint to a corp, whichever app calls it."""
    corp_id: str
    parent_corp_id: str
    """The corp that shares a suite with this one; for a suite's share list, the corp itself."""
    agent_id: int
    share_kind: ShareKind
    kind: CredentialKind | None
    """None where no credential was refused, but a share list or an endpoint."""
    scope: str
    reason: str
    message: str
    metadata: Mapping[str, str]
    since: datetime
    retry_at: datetime
    calls: int
    callers: int
    remedy: str

    @property
    def ends_by_retry(self) -> bool:
        """Return whether a retry forgets it: WeCom's window has to pass before it opens an endpoint."""
        return ClosedEndpoint.read(self.scope) is None


class Refusals:
    """List what is remembered, and forget it."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        error_cache: ErrorCache,
        memory: CredentialCache,
        meetings: Meetings,
        elsewhere: Callable[[], Awaitable[Sequence[Meeting]]],
        counters: Counters,
    ) -> None:
        self._catalog = catalog
        self._error_cache = error_cache
        self._memory = memory
        self._meetings = meetings
        self._elsewhere = elsewhere
        self._counters = counters

    async def list(self, app: str = "") -> list[Refusal]:
        """Return what the fleet remembers, of one app or of all, in a stable order. Raises `UnknownApp`."""
        if app:
            self._catalog.owner(app)
        names = ["", *([app] if app else (owner.name for owner in self._catalog.owners()))]
        found = [each for name in names for each in await self._error_cache.remembered(name)]
        elsewhere: defaultdict[tuple[str, datetime], list[Meeting]] = defaultdict(list)
        for meeting in await self._elsewhere() if found else ():
            elsewhere[meeting.scope, meeting.since].append(meeting)
        views = [self._view(each, elsewhere[each.scope, each.since]) for each in found]
        shown = [view for view in views if not app or view.app == app]
        return sorted(shown, key=lambda refusal: refusal.scope)

    async def retry(self, app: str) -> int:
        """Forget an app's refusals on every replica, and return how many there were.

        Raises `UnknownApp`, `CallerLimited` and `StoreUnavailable`.
        """
        self._catalog.owner(app)
        found = await self._error_cache.remembered(app)
        if not found:
            return 0
        await self._spend(app, found)
        for start in range(0, len(found), FORGOTTEN_AT_ONCE):
            batch = found[start : start + FORGOTTEN_AT_ONCE]
            await asyncio.gather(*(self._error_cache.forget(each.scope) for each in batch))
        self._memory.try_again(app)
        return len(found)

    async def _spend(self, app: str, found: Iterable[RememberedError]) -> None:
        """Count the retry. Raises `CallerLimited`, `StoreUnavailable`."""
        if await self._counters.count(f"retried:{app}", INTERVAL) > 1:
            raise CallerLimited(f"{app} was retried a moment ago", INTERVAL, app=app)
        if not any(each.kind is SecretRejected for each in found):
            return
        if await self._counters.count(f"secret-retried:{app}", SECRET_WINDOW) > SECRET_TRIES:
            problem = "WeCom bars the address of whoever repeats a wrong secret: correct it and reload"
            raise CallerLimited(problem, SECRET_WINDOW, app=app)

    def _view(self, remembered: RememberedError, elsewhere: Sequence[Meeting]) -> Refusal:
        subject, metadata = remembered.subject, remembered.metadata
        key = subject if isinstance(subject, CredentialKey) else None
        app, corp_id = self._whose(remembered)
        parent_corp_id = subject.parent_corp_id if subject else ""
        if closed := remembered.closed:
            metadata = {"endpoint": closed.endpoint, **metadata}
        met = self._meetings.of(remembered.scope, remembered.since)
        return Refusal(
            app=app,
            corp_id=corp_id,
            parent_corp_id=parent_corp_id,
            agent_id=key.agent_id if key else 0,
            share_kind=subject.share_kind if subject else ShareKind.OWN,
            kind=key.kind if key else None,
            scope=remembered.scope,
            reason=remembered.kind.reason,
            message=remembered.message,
            metadata=metadata,
            since=remembered.since,
            retry_at=remembered.until,
            calls=met.calls + sum(each.calls for each in elsewhere),
            callers=len(met.callers.union(*(each.callers for each in elsewhere))),
            remedy=remedy_of(remembered.kind, self._meant(app, corp_id, parent_corp_id), metadata),
        )

    def _meant(self, app: str, corp_id: str, parent_corp_id: str) -> Whose:
        if not self._catalog.knows(app):
            return Whose(app)
        return Whose.of(self._catalog.owner(app), corp_id, parent_corp_id)

    def _whose(self, remembered: RememberedError) -> tuple[str, str]:
        """Return the app and the corp; a suite's own token belongs to no corp."""
        subject, closed = remembered.subject, remembered.closed
        if isinstance(subject, CredentialKey):
            return subject.app, subject.corp_id
        if subject:
            return subject.app, subject.parent_corp_id
        if closed and closed.subject in self._catalog.suites:
            return closed.subject, ""
        return remembered.app, closed.subject if closed else ""
