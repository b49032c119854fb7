"""A fleet in one process: engines over one store in memory, before a WeCom that does as it is told."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TypeVar

from broker.app.core import Core, Limits, Surroundings
from broker.app.storage import storage_in
from broker.domain.apps import App, AppKind, Target
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey, Grant, RefreshPolicy
from broker.domain.errors import AppNotShared, BrokerError, SecretRejected, TokenRejected
from broker.domain.ports.rate_gate import CallScope, UpstreamGate
from broker.domain.ports.wecom import Allow
from broker.domain.secret import Secret
from broker.domain.shares import AppShare, ListedShares
from broker.usecases.access_tokens import AccessTokens
from broker.usecases.fleet.background import Background
from tests.kit.memory.fake_clock import FakeClock, FixedRandomness, SkewedClock, settle
from tests.kit.memory.memory_store import MemoryStore, NoSeal, Shared

POLICY = RefreshPolicy()
LIFETIME = timedelta(hours=2)
PARENT = "ww-parent"
CRM = App("crm", AppKind.SELF_BUILT, PARENT, 1000002, Secret("crm-secret"))
OWN = CredentialKey.own_token(CRM)
CHILD_SHARE = AppShare(ShareKind.CORP_GROUP, "ww-child", 7)
CHILD = CredentialKey.child_token(CRM, CHILD_SHARE)
OWN_TARGET, CHILD_TARGET = Target("crm"), Target("crm", "ww-child")

Result = TypeVar("Result")


class Endpoint(StrEnum):
    """Where the broker calls."""

    APP_TOKEN = "/cgi-bin/gettoken"
    SHARES = "/cgi-bin/corpgroup/corp/list_app_share_info"
    CHILD_TOKEN = "/cgi-bin/corpgroup/corp/gettoken"
    CORP_TICKET = "/cgi-bin/get_jsapi_ticket"
    AGENT_TICKET = "/cgi-bin/ticket/get"


class Habit(StrEnum):
    """What WeCom answers when a token is fetched again before its end."""

    NEW_KILLS_OLD = "new value, the old one dies"
    NEW_KEEPS_OLD = "new value, the old one lives on"
    SAME_FULL = "same value, full expires_in"
    SAME_REMAINING = "same value, what remains"


@dataclass
class Issued:
    """A token as WeCom knows it."""

    subject: str
    value: str
    expires_at: datetime
    dead: bool = False


@dataclass
class Call:
    """One call that reached WeCom."""

    endpoint: Endpoint
    subject: str
    began: datetime
    replica: int
    ended: datetime | None = None
    error: BrokerError | None = None


@dataclass
class FakeWecom:
    """WeCom, for the whole fleet: it issues tokens, kills them, dawdles and refuses as a test says."""

    clock: FakeClock
    habit: Habit = Habit.NEW_KILLS_OLD
    lifetime: timedelta = LIFETIME
    delay: timedelta = timedelta(0)
    answers_as_asked: bool = False
    """Whether an answer tells what was true when the call came, not when the answer left."""
    shares: list[AppShare] = field(default_factory=lambda: [CHILD_SHARE])
    unreadable: int = 0
    """How many entries of each listing cannot be read."""
    calls: list[Call] = field(default_factory=list)
    in_flight: Counter[str] = field(default_factory=Counter)
    most_at_once: Counter[str] = field(default_factory=Counter)
    in_flight_all: int = 0
    most_in_flight: int = 0
    tokens: dict[str, Issued] = field(default_factory=dict)
    troubles: dict[Endpoint, list[Callable[[], BrokerError]]] = field(default_factory=dict)
    hears: Callable[["Call", "FakeWecom"], None] = lambda call, wecom: None
    """Called as each call begins."""
    secrets: dict[str, str] = field(default_factory=lambda: {PARENT: "crm-secret"})
    _current: dict[str, Issued] = field(default_factory=dict)
    _numbers: Counter[str] = field(default_factory=Counter)

    def fail(self, endpoint: Endpoint, error: Callable[[], BrokerError], times: int = 1_000_000) -> None:
        """Answer the next calls of the endpoint with this error."""
        self.troubles[endpoint] = [error] * times

    def recover(self) -> None:
        """Answer well again."""
        self.troubles.clear()

    def count(self, endpoint: Endpoint | None = None, subject: str | None = None) -> int:
        """Return how many calls came."""
        return sum(
            (endpoint is None or call.endpoint is endpoint) and (subject is None or call.subject == subject)
            for call in self.calls
        )

    def current(self, subject: str) -> Issued | None:
        """Return the token that was issued last."""
        return self._current.get(subject)

    def kill(self, value: Secret) -> None:
        """Let a token die before its time."""
        self.tokens[value.reveal()].dead = True

    def is_alive(self, value: Secret) -> bool:
        """Tell whether WeCom takes the token."""
        token = self.tokens.get(value.reveal())
        return token is not None and not token.dead and self.clock.now() < token.expires_at

    async def call(
        self, endpoint: Endpoint, subject: str, replica: int, answer: Callable[[], Result]
    ) -> Result:
        """Take a call: note it, dawdle, and fail or answer."""
        call = Call(endpoint, subject, self.clock.now(), replica)
        self.calls.append(call)
        self.hears(call, self)
        self.in_flight[subject] += 1
        self.most_at_once[subject] = max(self.most_at_once[subject], self.in_flight[subject])
        self.in_flight_all += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight_all)
        try:
            early = answer() if self.answers_as_asked else None
            await self.clock.sleep(self.delay)
            if troubles := self.troubles.get(endpoint):
                error = troubles.pop()()
                raise error
            return early or answer()
        except BrokerError as error:
            call.error = error
            raise
        finally:
            call.ended = self.clock.now()
            self.in_flight[subject] -= 1
            self.in_flight_all -= 1

    def grant(self, subject: str) -> Grant:
        """Issue a token, as the habit says."""
        now = self.clock.now()
        token = self._current.get(subject)
        if token and not token.dead and now < token.expires_at:
            if self.habit is Habit.SAME_FULL:
                return Grant(Secret(token.value), self.lifetime)
            if self.habit is Habit.SAME_REMAINING:
                return Grant(Secret(token.value), token.expires_at - now)
            token.dead = self.habit is Habit.NEW_KILLS_OLD
        self._numbers[subject] += 1
        token = Issued(subject, f"{subject}#{self._numbers[subject]}", now + self.lifetime)
        self._current[subject] = self.tokens[token.value] = token
        return Grant(Secret(token.value), self.lifetime)

    def refuse_dead(self, parent: Credential) -> None:
        """Answer 40014 where the parent's token is dead."""
        if not self.is_alive(parent.value):
            raise TokenRejected("the token is dead", errcode=40014)


@dataclass
class Door:
    """One replica's way to WeCom, with the gate before it."""

    wecom: FakeWecom
    gate: UpstreamGate
    replica: int

    async def fetch_app_token(self, app: App) -> Grant:
        """See `WecomTokens`."""
        corp_id = app.corp_id

        def answer() -> Grant:
            if app.secret.reveal() != self.wecom.secrets[corp_id]:
                raise SecretRejected("the secret is wrong", errcode=40001)
            return self.wecom.grant(app.corp_id)

        return await self._call(CallScope(app.name, corp_id, Endpoint.APP_TOKEN), corp_id, answer)

    async def fetch_child_token(
        self, parent: Credential, corp_id: str, agent_id: int, share_kind: ShareKind
    ) -> Grant:
        """See `WecomTokens`."""

        def answer() -> Grant:
            self.wecom.refuse_dead(parent)
            if (share_kind, corp_id, agent_id) not in {share.identity for share in self.wecom.shares}:
                raise AppNotShared("not shared with this corp", errcode=670001)
            return self.wecom.grant(f"{share_kind}:{corp_id}:{agent_id}")

        subject = f"{share_kind}:{corp_id}:{agent_id}"
        return await self._call(_scope(parent, Endpoint.CHILD_TOKEN), subject, answer)

    async def list_app_shares(self, parent: Credential, share_kind: ShareKind) -> ListedShares:
        """See `WecomShares`."""

        def answer() -> ListedShares:
            self.wecom.refuse_dead(parent)
            shares = tuple(share for share in self.wecom.shares if share.share_kind is share_kind)
            return ListedShares(shares, self.wecom.unreadable)

        return await self._call(_scope(parent, Endpoint.SHARES), f"shares:{share_kind}", answer)

    async def fetch_corp_ticket(self, token: Credential, allow: Allow) -> Grant:
        """See `WecomTickets`."""
        return await self._ticket(Endpoint.CORP_TICKET, f"corp_ticket:{token.key.corp_id}", token, allow)

    async def fetch_agent_ticket(self, token: Credential, allow: Allow) -> Grant:
        """See `WecomTickets`."""
        subject = f"agent_ticket:{token.key.corp_id}:{token.key.agent_id}"
        return await self._ticket(Endpoint.AGENT_TICKET, subject, token, allow)

    async def _ticket(self, endpoint: Endpoint, subject: str, token: Credential, allow: Allow) -> Grant:
        def answer() -> Grant:
            self.wecom.refuse_dead(token)
            return self.wecom.grant(subject)

        return await self._call(_scope(token, endpoint), subject, answer, allow)

    async def _call(
        self, scope: CallScope, subject: str, answer: Callable[[], Result], allow: Allow | None = None
    ) -> Result:
        await self.gate.before(scope)
        if allow:
            await allow()
        try:
            result = await self.wecom.call(Endpoint(scope.endpoint), subject, self.replica, answer)
        except BrokerError as error:
            await self.gate.after(scope, error)
            raise
        await self.gate.after(scope, None)
        return result


def _scope(token: Credential, endpoint: Endpoint) -> CallScope:
    return CallScope(token.key.app, token.key.corp_id, endpoint)


@dataclass
class Witness:
    """An observer that remembers."""

    refreshes: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, int]] = field(default_factory=list)
    changes: list[tuple[str, list[AppShare], list[AppShare]]] = field(default_factory=list)

    def upstream_called(self, endpoint: str, outcome: str, duration: timedelta) -> None:
        """See `Observer`."""

    def lease_waited(self, name: str, duration: timedelta) -> None:
        """See `Observer`."""
        self.waits.append(name)

    def refreshed(self, name: str, kind: str, outcome: str, error: BrokerError | None = None) -> None:
        """See `Observer`."""
        self.refreshes.append((name, outcome))

    def store_lost(self, error: BrokerError) -> None:
        """See `Observer`."""

    def store_back(self) -> None:
        """See `Observer`."""

    def shares_changed(self, app: str, added: Iterable[AppShare], removed: Iterable[AppShare]) -> None:
        """See `Observer`."""
        self.changes.append((app, list(added), list(removed)))

    def shares_unreadable(self, app: str, share_kind: ShareKind, count: int) -> None:
        """See `Observer`."""
        self.unreadable.append((app, count))

    def background_failed(self, what: str, error: Exception) -> None:
        """See `Observer`."""
        self.failures.append((what, error))


class Replica:
    """One broker's engine, wired as the composition root does it."""

    def __init__(self, world: "EngineWorld", number: int, apps: Mapping[str, App]) -> None:
        self.apps = apps
        self.clock = clock = SkewedClock(world.clock)
        self.witness = witness = Witness()
        self.tasks = tasks = Background(witness, clock)
        self.store = store = MemoryStore(world.shared)
        self.storage = storage = storage_in(store, NoSeal(), witness)
        around = Surroundings(apps, storage, clock, world.randomness, world.policy, witness, tasks)
        limits = Limits(around)
        self.wecom = Door(world.wecom, limits.gate, number)
        self.core = core = Core(
            around,
            limits,
            tokens=self.wecom,
            tickets=self.wecom,
            shares=self.wecom,
            called_back=world.called_back,
            sync_every=timedelta(seconds=600),
        )
        self.memory, self.notifications, self.quota = core.memory, core.notifications, core.quota
        self.error_cache, self.gate, self.fleet = core.error_cache, core.gate, core.fleet
        self.engine, self.targets = core.engine, core.targets
        self.lists, self.shares, self.lister = core.lists, core.shares, core.lister
        self.renewal = core.relisting
        self.tokens = AccessTokens(core.targets, core.engine)
        core.start()

    def refresh_ahead(self) -> None:
        """Let it renew in the background; most tests want nobody to do that."""
        self.tasks.keep_running("refreshing ahead", self.core.ahead.run)

    async def crash(self) -> None:
        """End it as a killed process ends: nothing that it does on the way out reaches anybody."""
        self.store.cut()
        await self.close()

    async def close(self) -> None:
        """End what runs in it."""
        await self.tasks.__aexit__(None, None, None)


class EngineWorld:
    """Replicas over one store, before one WeCom. Enter it."""

    def __init__(self, *, apps: Iterable[App] = (CRM,), policy: RefreshPolicy = POLICY) -> None:
        self.clock = FakeClock()
        self.randomness = FixedRandomness()
        self.policy = policy
        self.shared = Shared(self.clock)
        self.wecom = FakeWecom(self.clock)
        self.called_back: set[str] = set()
        """The apps that have a callback."""
        self.replicas: list[Replica] = []
        self._apps = {app.name: app for app in apps}

    async def start(self, *, apps: Iterable[App] | None = None, number: int | None = None) -> Replica:
        """Start another broker, or one in the place of that which has the number."""
        chosen = self._apps if apps is None else {app.name: app for app in apps}
        number = len(self.replicas) if number is None else number
        replica = Replica(self, number, chosen)
        self.replicas[number : number + 1] = [replica]
        await settle()
        return replica

    async def fleet(self, size: int) -> list[Replica]:
        """Start several brokers."""
        return [await self.start() for _ in range(size)]

    async def gather(
        self, *errands: Coroutine[Any, Any, Result], within: timedelta = timedelta(minutes=2)
    ) -> list[Result]:
        """Run the errands together while time passes."""
        together = asyncio.gather(*errands)
        try:
            await self._pass_until(together, within)
            return together.result()
        finally:
            together.cancel()

    async def run(
        self, errand: Coroutine[Any, Any, Result], within: timedelta = timedelta(minutes=2)
    ) -> Result:
        """Run one errand while time passes. Raises what it raises."""
        [result] = await self.gather(errand, within=within)
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


async def outcome(errand: Awaitable[object]) -> object:
    """Return what the errand returns, or the error that it raises."""
    try:
        return await errand
    except BrokerError as error:
        return error


async def wait_for(task: asyncio.Task[Result]) -> Result:
    """Return what a task that is under way returns."""
    return await task
