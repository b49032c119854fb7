"""A fleet in one process: engines over one store in memory, in front of the simulated WeCom."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from broker.adapters.wecom.shares import ShareEndpoints
from broker.adapters.wecom.suites.authorizations import AuthorizationEndpoints
from broker.adapters.wecom.suites.tokens import SuiteTokenEndpoints
from broker.adapters.wecom.tickets import TicketEndpoints
from broker.adapters.wecom.tokens import TokenEndpoints
from broker.app.core import Core, Limits
from broker.app.storage import storage_in
from broker.app.surroundings import Surroundings
from broker.domain.apps import App, AppKind, Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import CredentialKey, RefreshPolicy
from broker.domain.errors import BrokerError
from broker.domain.ports.observer import Damage, Durability
from broker.domain.ports.tracer import NO_TRACER, Tracer
from broker.domain.secret import Secret
from broker.domain.shares import AppShare
from broker.domain.suites.catalog import Catalog
from broker.usecases.access_tokens import AccessTokens
from broker.usecases.fleet.background import Background
from tests.kit.memory.audit_trail import MemoryTrail
from tests.kit.memory.fake_clock import FakeClock, FixedRandomness, SkewedClock, settle
from tests.kit.memory.memory_event_log import MemoryEventLog, SharedLogs
from tests.kit.memory.memory_store import MemoryStore, NoSeal, Shared
from tests.kit.memory.wecom import Connection, SimulatedWecom

POLICY = RefreshPolicy()
LIFETIME = timedelta(hours=2)
LONGEST_CALL = timedelta(seconds=15)
PARENT = "ww-parent"
CRM = App("crm", AppKind.SELF_BUILT, PARENT, 1000002, Secret("crm-secret"))
OWN = CredentialKey.own_token(CRM)
CHILD_SHARE = AppShare(ShareKind.CORP_GROUP, "ww-child", 7)
CHILD = CredentialKey.child_token(CRM, CHILD_SHARE)
OWN_TARGET, CHILD_TARGET = Target("crm"), Target("crm", "ww-child")

Result = TypeVar("Result")


@dataclass
class Witness:
    """An observer that records what is reported to it."""

    refreshes: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    damage: list[tuple[Damage, Exception]] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    forced: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, int]] = field(default_factory=list)
    changes: list[tuple[str, list[AppShare], list[AppShare]]] = field(default_factory=list)
    unannounced: list[tuple[str, list[str]]] = field(default_factory=list)
    receivers: list[tuple[str, str, str]] = field(default_factory=list)

    def upstream_called(
        self, endpoint: str, outcome: str, duration: timedelta, *, of_caller: bool = False, problem: str = ""
    ) -> None:
        """See `Observer`."""

    def lease_waited(self, name: str, duration: timedelta) -> None:
        """See `Observer`."""
        self.waits.append(name)

    def refreshed(self, name: str, kind: str, outcome: str, error: BrokerError | None = None) -> None:
        """See `Observer`."""
        self.refreshes.append((name, outcome))

    def fetch_forced(self, caller: str) -> None:
        """See `Observer`."""
        self.forced.append(caller)

    def store_lost(self, error: BrokerError) -> None:
        """See `Observer`."""

    def store_back(self) -> None:
        """See `Observer`."""

    def durable_write_ended(self, outcome: Durability, problem: str = "") -> None:
        """See `Observer`."""

    def replication_ended(self, outcome: Durability, problem: str = "") -> None:
        """See `Observer`."""

    def shares_changed(self, app: str, added: Iterable[AppShare], removed: Iterable[AppShare]) -> None:
        """See `Observer`."""
        self.changes.append((app, list(added), list(removed)))

    def shares_ended_unannounced(self, app: str, ended: Iterable[AppShare]) -> None:
        """See `Observer`."""
        self.unannounced.append((app, [share.corp_id for share in ended]))

    def shares_unreadable(self, app: str, share_kind: ShareKind, count: int) -> None:
        """See `Observer`."""
        self.unreadable.append((app, count))

    def callback_addressed(self, app: str, form: str, receive_id: str) -> None:
        """See `Observer`."""
        self.receivers.append((app, form, receive_id))

    def damage_found(self, damage: Damage, problem: Exception) -> None:
        """See `Observer`."""
        self.damage.append((damage, problem))

    def background_failed(self, what: str, error: Exception) -> None:
        """See `Observer`."""
        self.failures.append((what, error))


@dataclass
class SuiteWitness:
    """An observer of suites that records what is reported to it."""

    tickets: list[tuple[str, bool]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)
    exchanges: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def ticket_pushed(self, suite: str, *, is_newest: bool) -> None:
        """See `SuiteObserver`."""
        self.tickets.append((suite, is_newest))

    def ticket_looked_at(self, suite: str, expires_at: datetime | None, problem: str) -> None:
        """See `SuiteObserver`."""
        self.problems.append(problem)

    def authorization_changed(self, suite: str, corp_id: str, state: str, problem: str) -> None:
        """See `SuiteObserver`."""
        self.states.append((corp_id, state))

    def authorizations_counted(
        self, suite: str, counts: Mapping[str, int], next_permission_end: datetime | None
    ) -> None:
        """See `SuiteObserver`."""

    def exchange_ended(self, suite: str, outcome: str) -> None:
        """See `SuiteObserver`."""
        self.exchanges.append(outcome)

    def suite_ended(self, suite: str) -> None:
        """See `SuiteObserver.suite_ended`."""

    def code_lost(self, suite: str, problem: str) -> None:
        """See `SuiteObserver`."""
        self.lost.append(problem)


class Replica:
    """One broker's engine, wired as the composition root does it."""

    def __init__(self, world: "EngineWorld", number: int, catalog: Catalog) -> None:
        self.apps = catalog.apps
        self.catalog = catalog
        self.clock = clock = SkewedClock(world.clock)
        self.witness = witness = Witness()
        self.tasks = tasks = Background(witness, clock)
        self.store = store = MemoryStore(world.shared)
        self.storage = storage = storage_in(
            store, MemoryEventLog(store, world.logs), NoSeal(), witness, catalog.identity
        )
        self.suite_witness, self.trail = SuiteWitness(), MemoryTrail()
        around = Surroundings(
            catalog,
            storage,
            clock,
            world.randomness,
            world.policy,
            witness,
            self.suite_witness,
            self.trail,
            tasks,
            world.tracer,
        )
        limits = Limits(around)
        wecom = cast("Any", Connection(world.wecom, limits.gate, number))
        self.core = core = Core(
            around,
            limits,
            tokens=TokenEndpoints(wecom),
            tickets=TicketEndpoints(wecom),
            suites=SuiteTokenEndpoints(wecom),
            authorizations=AuthorizationEndpoints(wecom),
            called_back=world.called_back,
            sync_every=timedelta(seconds=600),
            longest_call=LONGEST_CALL,
            **{"shares": ShareEndpoints(wecom), **world.core_options},
        )
        self.memory, self.notifications, self.quota = core.memory, core.notifications, core.quota
        self.error_cache, self.gate, self.fleet = core.error_cache, core.gate, core.fleet
        self.engine, self.sharing = core.engine, core.sharing
        self.lists, self.shares, self.lister = core.sharing.lists, core.sharing.directory, core.sharing.lister
        self.renewal, self.targets = core.sharing.relisting, core.sharing.targets
        self.tokens = AccessTokens(self.targets, core.engine)
        core.start()

    def refresh_ahead(self) -> None:
        """Start renewal in the background; most tests run without it."""
        self.tasks.keep_running("refreshing ahead", self.core.ahead.run)

    async def crash(self) -> None:
        """End it like a killed process: it loses the store first, so that its cleanup has no effect there."""
        self.store.cut()
        await self.close()

    async def close(self) -> None:
        """End its tasks."""
        await self.tasks.__aexit__(None, None, None)


class EngineWorld:
    """Replicas over one store, in front of one WeCom. An async context manager."""

    def __init__(self, *, apps: Iterable[App] = (CRM,), policy: RefreshPolicy = POLICY) -> None:
        self.clock = FakeClock()
        self.randomness = FixedRandomness()
        self.policy = policy
        self.shared = Shared(self.clock)
        self.logs = SharedLogs(self.clock)
        self.wecom = SimulatedWecom(self.clock, CRM, [CHILD_SHARE], LIFETIME)
        self.called_back: set[str] = set()
        """The apps that have a callback."""
        self.core_options: dict[str, Any] = {}
        """What the cores are given besides, or instead."""
        self.tracer: Tracer = NO_TRACER
        """What later replicas tell of."""
        self.replicas: list[Replica] = []
        self.catalog = Catalog({app.name: app for app in apps})

    async def start(self, *, apps: Iterable[App] | None = None, number: int | None = None) -> Replica:
        """Start another broker, or one that replaces the broker with this number."""
        catalog = self.catalog if apps is None else Catalog({app.name: app for app in apps})
        number = len(self.replicas) if number is None else number
        replica = Replica(self, number, catalog)
        self.replicas[number : number + 1] = [replica]
        await settle()
        return replica

    async def fleet(self, size: int) -> list[Replica]:
        """Start several brokers."""
        return [await self.start() for _ in range(size)]

    async def gather(
        self, *calls: Coroutine[Any, Any, Result], within: timedelta = timedelta(minutes=2)
    ) -> list[Result]:
        """Run the coroutines together while time passes."""
        together = asyncio.gather(*calls)
        try:
            await self._pass_until(together, within)
            return together.result()
        finally:
            together.cancel()

    async def run(
        self, call: Coroutine[Any, Any, Result], within: timedelta = timedelta(minutes=2)
    ) -> Result:
        """Run one coroutine while time passes. Raises what it raises."""
        [result] = await self.gather(call, within=within)
        return result

    async def _pass_until(self, future: asyncio.Future[Any], within: timedelta) -> None:
        ends = self.clock.now() + within
        await settle()
        while not future.done():
            assert self.clock.now() < ends, "it hangs"
            await self.clock.advance(timedelta(milliseconds=100))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for replica in self.replicas:
            await replica.close()
        if kind is None:
            assert not [failure for replica in self.replicas for failure in replica.witness.failures]


async def outcome(call: Awaitable[object]) -> object:
    """Return the result of the awaitable, or the error that it raises."""
    try:
        return await call
    except BrokerError as error:
        return error


async def wait_for(task: asyncio.Task[Result]) -> Result:
    """Return the result of a running task."""
    return await task
