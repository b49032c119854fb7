"""What a store knows of suites, without a broker: tickets, and what corps allow."""

from collections import Counter
from datetime import datetime

from broker.adapters.system import SystemClock
from broker.app.storage import Storage
from broker.domain.ports.suite_observer import SuiteObserver
from broker.domain.suites.authorization import Authorization
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.installation import Installation, InstallationState, count_followed
from broker.domain.suites.suite import Suite
from broker.domain.suites.view import AuthorizationView
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.suite_status import SuiteStatus
from broker.usecases.suites.enlisted import AUTHORIZATIONS, INSTALLATIONS, Enlisted
from broker.usecases.suites.tickets import SuiteTickets


async def stored_tickets(
    catalog: Catalog,
    storage: Storage,
    error_cache: ErrorCache,
    clock: SystemClock,
    observer: SuiteObserver,
) -> SuiteTickets:
    """Return the newest ticket of each suite. Raises `StoreUnavailable`."""
    tickets = SuiteTickets(catalog.suites, storage.suite_tickets, error_cache, clock, observer)
    for name in catalog.suites:
        await tickets.replicated.look(name)
    return tickets


async def statuses(
    catalog: Catalog, storage: Storage, tickets: SuiteTickets, clock: SystemClock
) -> list[SuiteStatus]:
    """Return how each suite is doing, as a broker would. Raises `StoreUnavailable`."""
    corps: dict[tuple[str, str], Authorization] = {}
    codes: dict[tuple[str, str], Installation] = {}

    async def corp(found: Authorization) -> None:
        corps[found.key] = found

    async def code(found: Installation) -> None:
        codes[found.key] = found

    names = list(catalog.suites)
    await Enlisted(AUTHORIZATIONS, names, storage.authorizations, corp, storage.groups, clock).load()
    await Enlisted(INSTALLATIONS, names, storage.installations, code, storage.groups, clock).load()
    return [
        _status(suite, tickets, list(corps.values()), list(codes.values()), clock.now())
        for _, suite in sorted(catalog.suites.items())
    ]


def _status(
    suite: Suite,
    tickets: SuiteTickets,
    corps: list[Authorization],
    codes: list[Installation],
    now: datetime,
) -> SuiteStatus:
    own = [corp for corp in corps if corp.suite == suite.name]
    came_of = {corp.code_hash for corp in own}
    shown = [
        code
        for code in codes
        if code.suite == suite.name
        and not (code.state is InstallationState.DONE or code.is_settled)
        and code.code_hash not in came_of
    ]
    counts = Counter(AuthorizationView.of_installation(code).state.value for code in shown)
    counts.update(corp.state.value for corp in own)
    ends = [end for corp in own for end in corp.permission_ends if end > now]
    done = [code for code in codes if code.suite == suite.name and code.state is InstallationState.DONE]
    followed = count_followed([*shown, *done])
    return SuiteStatus(suite.name, tickets.status(suite), counts, min(ends, default=None), followed)
