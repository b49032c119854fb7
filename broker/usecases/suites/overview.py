"""What SuiteService shows and does: authorisations, and codes that are none yet, in one list."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta

from broker.domain.errors import CorpNotAuthorized, InvalidRequest
from broker.domain.ports.clock import Clock
from broker.domain.ports.suite_observer import SuiteObserver
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.installation import Installation, InstallationState, count_followed
from broker.domain.suites.view import CORP, AuthorizationView
from broker.usecases.credentials.one_time_codes import read_code
from broker.usecases.limits.forced import NOBODY, ForcedFetches
from broker.usecases.suites.authorizations import Authorizations
from broker.usecases.suites.changes import Changes
from broker.usecases.suites.exchanges import Exchanges
from broker.usecases.suites.installations import Installations
from broker.usecases.suites.rereading import Rereading

LOADED_WITHIN = timedelta(seconds=5)
"""How long a list waits for a replica that has just started."""
LOOK_INTERVAL = timedelta(seconds=15)


class SuiteAuthorizations:
    """Answer questions about a suite's authorisations."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        authorizations: Authorizations,
        installations: Installations,
        exchanges: Exchanges,
        rereading: Rereading,
        forced: ForcedFetches,
        changes: Changes,
        clock: Clock,
        observer: SuiteObserver,
    ) -> None:
        self._catalog = catalog
        self._authorizations = authorizations
        self._installations = installations
        self._exchanges = exchanges
        self._rereading = rereading
        self._forced = forced
        self._changes = changes
        self._clock = clock
        self._observer = observer
        self._made: dict[str, tuple[int, Sequence[AuthorizationView]]] = {}
        """The rows of each suite and the version that they show: a long list is asked for page by page."""

    async def get(self, name: str, corp_id: str) -> AuthorizationView:
        """Return one corp's row, also if it cancelled. Raises `CorpNotAuthorized`."""
        suite = self._catalog.suite(name)
        key = (suite.name, _required(corp_id))
        found = self._authorizations.get(key) or await self._authorizations.replicated.look(key)
        if found is None:
            raise CorpNotAuthorized("this corp has not authorised the app", app=name, corp_id=corp_id)
        return AuthorizationView.of(found)

    async def refresh(self, name: str, corp_id: str, by: str = NOBODY) -> AuthorizationView:
        """Read one corp's authorisation at WeCom now; that counts for the caller `by`.

        Raises `CallerLimited`, and as `Rereading.read`.
        """
        suite = self._catalog.suite(name)
        await self._authorizations.find(suite, _required(corp_id))
        await self._forced.spend(by)
        return AuthorizationView.of(await self._rereading.read(suite, _required(corp_id)))

    async def complete(self, name: str, auth_code: str, state: str) -> AuthorizationView:
        """Exchange the code of a redirect; it may be given again.

        Raises as `Exchanges.take` and `Exchanges.outcome`.
        """
        suite, code = self._catalog.suite(name), read_code("auth_code", auth_code)
        key = await self._exchanges.take(suite, code, self._clock.now(), state=state, is_callers=True)
        return AuthorizationView.of(await self._exchanges.outcome(key))

    async def watch(self, name: str) -> AsyncGenerator[list[AuthorizationView], None]:
        """Yield all rows first, then those that changed."""
        suite = self._catalog.suite(name)
        async with aclosing(self._authorizations.watch(suite.name)) as changes:
            await anext(changes)
            seen = {view.mark: view for view in await self.list(name)}
            yield list(seen.values())
            async for marks in changes:
                views = [view for mark in sorted(marks) if (view := self._view(suite.name, mark))]
                if changed := [view for view in views if seen.get(view.mark) != view]:
                    seen.update((view.mark, view) for view in changed)
                    yield changed

    def counts(self, suite: str) -> Mapping[str, int]:
        """Return how many rows are in each state."""
        codes = Counter(AuthorizationView.of_installation(code).state.value for code in self._codes(suite))
        return codes + Counter(found.state.value for found in self._authorizations.of(suite))

    def lost_followed(self, suite: str) -> int:
        """Return how many lost codes were followed by an installation; see `count_followed`."""
        return count_followed([*self._codes(suite), *self._installations.done(suite)])

    def next_permission_end(self, suite: str) -> datetime | None:
        """See `Authorizations.next_permission_end`."""
        return self._authorizations.next_permission_end(suite)

    async def run(self) -> None:
        """Report counts and deadlines, for ever."""
        while True:
            for suite in self._catalog.suites:
                self._observer.authorizations_counted(
                    suite, self.counts(suite), self.next_permission_end(suite)
                )
            await self._clock.sleep(LOOK_INTERVAL)

    def _rows(self, suite: str) -> Sequence[AuthorizationView]:
        version = self._changes.version(suite)
        made_at, rows = self._made.get(suite, (-1, ()))
        if made_at != version:
            rows = self._make_rows(suite)
            self._made[suite] = version, rows
        return rows

    def _make_rows(self, suite: str) -> Sequence[AuthorizationView]:
        codes = sorted(map(AuthorizationView.of_installation, self._codes(suite)), key=lambda view: view.mark)
        return [*codes, *map(AuthorizationView.of, self._authorizations.of(suite))]

    def _view(self, suite: str, mark: str) -> AuthorizationView | None:
        kind, _, name = mark.partition(" ")
        if kind == CORP:
            found = self._authorizations.get((suite, name))
            return AuthorizationView.of(found) if found else None
        code = self._installations.get((suite, name))
        return AuthorizationView.of_installation(code) if code and self._is_shown(code) else None

    def _codes(self, suite: str) -> Iterable[Installation]:
        return filter(self._is_shown, self._installations.unfinished(suite))

    def _is_shown(self, code: Installation) -> bool:
        """Return whether a code has a row: one that became an authorisation, or is settled, has not."""
        is_over = code.state is InstallationState.DONE or code.is_settled
        return not is_over and not self._authorizations.came_of(*code.key)

    async def list(self, name: str) -> Sequence[AuthorizationView]:
        """Return all rows of a suite in a stable order. Raises `UnknownApp`, `InvalidRequest`."""
        suite = self._catalog.suite(name)
        await self._authorizations.enlisted.wait_until_loaded(LOADED_WITHIN)
        await self._installations.enlisted.wait_until_loaded(LOADED_WITHIN)
        return self._rows(suite.name)


def _required(corp_id: str) -> str:
    if not corp_id:
        raise InvalidRequest("corp_id", "is required")
    return corp_id
