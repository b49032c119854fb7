"""The whole examination of a configuration, with no broker: what is found, and how its suites are doing."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from broker.adapters.system import SystemClock, SystemRandomness
from broker.adapters.wecom.client import WecomClient, connect_wecom
from broker.adapters.wecom.egress import Egress
from broker.app.checkup import way
from broker.app.checkup.callbacks import Callbacks
from broker.app.checkup.configuration import doubtful, mistakes
from broker.app.checkup.secrets import Secrets, not_tried
from broker.app.checkup.store import look_at_store
from broker.app.checkup.suites import statuses, stored_tickets
from broker.app.checkup.trying import Attempt
from broker.app.core import fingerprints
from broker.app.errors import CannotStart
from broker.app.listening import ListenersTls
from broker.app.storage import Storage
from broker.config import mapping
from broker.config.schema import Config
from broker.domain.errors import BrokerError, StoreUnavailable
from broker.domain.ports.rate_gate import CallScope, UpstreamGate
from broker.domain.ports.trials import Trials
from broker.server.diagnosis.finding import Finding, Level
from broker.telemetry.observer import Telemetry
from broker.telemetry.suites import SuiteTelemetry
from broker.usecases.admin import COUNTED
from broker.usecases.fleet.background import Background
from broker.usecases.limits.circuit_breaker import CircuitBreakers
from broker.usecases.limits.error_cache import ErrorCache
from broker.usecases.limits.rate_gate import RateGate
from broker.usecases.replicas.cures import store_cure
from broker.usecases.suite_status import SuiteStatus

if TYPE_CHECKING:
    from broker.usecases.suites.tickets import SuiteTickets


class Wishes(NamedTuple):
    """What the operator asks for."""

    again: Collection[str] = ()
    """Whose secrets to try again, whatever doctors remember."""
    callbacks: str = ""
    """The base of the URLs that WeCom is given."""


@dataclass(slots=True)
class Examined:
    """What is found."""

    findings: list[Finding] = field(default_factory=list)
    suites: Sequence[SuiteStatus] = ()
    """As the store has them; none where it cannot be read."""
    certificates: Mapping[str, datetime] = field(default_factory=dict)
    """When the first certificate in each file of the listeners' TLS ends, by key."""


class _NoGate:
    """Let every call pass: there is no store that counts them yet."""

    async def before(self, scope: CallScope) -> None:
        """See `UpstreamGate.before`."""

    async def after(self, scope: CallScope, error: BrokerError | None) -> None:
        """See `UpstreamGate.after`."""


async def examine(config: Config, wishes: Wishes) -> Examined:
    """Look at everything that the configuration names. A broker may run beside it."""
    examination = _Examination(config, wishes)
    await examination.run()
    return examination.done


class _Examination:
    """One configuration, and what is known of it so far."""

    def __init__(self, config: Config, wishes: Wishes) -> None:
        self._config = config
        self._wishes = wishes
        self._catalog = mapping.catalog(config)
        self._clock = SystemClock()
        self._observer = Telemetry(self._clock)
        self._error_cache: ErrorCache | None = None
        self._tickets: SuiteTickets | None = None
        self.done = Examined()

    async def run(self) -> None:
        """Look at everything, in an order in which later steps can use what earlier ones found."""
        self.done.findings += doubtful(self._config, datetime.now(UTC))
        try:
            ListenersTls.of(self._config, self._clock, self._observer)
        except CannotStart as error:
            self.done.findings += mistakes([str(error)])
        self.done.certificates = self._observer.replica_health.certificates
        async with AsyncExitStack() as stack:
            store = await look_at_store(stack, self._config, self._clock, self._observer)
            self.done.findings += store.findings
            if store.storage:
                await self._look_into(store.storage)
            tasks = await stack.enter_async_context(Background(self._observer, self._clock))
            client = await stack.enter_async_context(self._connect(store.storage, tasks))
            self.done.findings += await self._wecom(client, store.trials)
        if base := self._wishes.callbacks or _own_listener(self._config):
            owners = {owner.name: owner for owner in self._catalog.owners()}
            callbacks = Callbacks(base, given=bool(self._wishes.callbacks))
            self.done.findings += await callbacks.examine(owners, mapping.callbacks(self._config))

    async def _look_into(self, storage: Storage) -> None:
        """Read what brokers have in the store: refusals, and how suites are doing."""
        clock = self._clock
        cache = ErrorCache(
            storage.errors, storage.groups, clock, SystemRandomness(), fingerprints(self._catalog)
        )
        self._error_cache = cache
        seen = SuiteTelemetry(self._observer.metrics, clock)
        try:
            self._tickets = await stored_tickets(self._catalog, storage, cache, clock, seen)
            self.done.suites = await statuses(self._catalog, storage, self._tickets, clock)
        except StoreUnavailable as error:
            subject = f"store {self._config.store.place}"
            self.done.findings.append(Finding(Level.FAIL, subject, error.message, store_cure(error.message)))

    def _connect(
        self, storage: Storage | None, tasks: Background
    ) -> AbstractAsyncContextManager[WecomClient]:
        return connect_wecom(
            base=self._config.wecom.api_base,
            longest=timedelta(seconds=self._config.wecom.timeout_seconds),
            egress=self._egress,
            gate=self._gate(storage, tasks),
            clock=self._clock,
            randomness=SystemRandomness(),
            observer=self._observer,
        )

    async def _wecom(self, client: WecomClient, trials: Trials | None) -> list[Finding]:
        """Look at the way to WeCom, and at each secret if there is a way, and a memory of what was tried."""
        base, owners = self._config.wecom.api_base, self._catalog.owners()
        found = [
            await way.look_up(base, self._egress),
            await way.reach(base, self._egress, client, self._clock),
        ]
        found.append(way.compare(self._clock))
        if any(finding.level is Level.FAIL for finding in found):
            return found + [not_tried(owner.name, "WeCom cannot be reached") for owner in owners]
        if trials is None:
            why = "the store cannot tell what was tried before"
            return found + [not_tried(owner.name, why) for owner in owners]
        attempt = Attempt(client, self._tickets, self._clock)
        secrets = Secrets(attempt, trials, self._error_cache, self._clock, self._wishes.again)
        return found + await secrets.examine(owners)

    @property
    def _egress(self) -> Egress:
        wecom = self._config.wecom
        return Egress(wecom.proxy, wecom.ca, wecom.resolve)

    def _gate(self, storage: Storage | None, tasks: Background) -> UpstreamGate:
        if storage is None or self._error_cache is None:
            return _NoGate()
        breakers = CircuitBreakers(self._clock, SystemRandomness())
        return RateGate(storage.coordination, self._error_cache, breakers, COUNTED, tasks)


def _own_listener(config: Config) -> str:
    """Return where a broker of this configuration listens on this machine; empty for a unix socket."""
    if config.server.http.startswith("unix:"):
        return ""
    host, _, port = config.server.http.rpartition(":")
    everywhere = host in ("", "0.0.0.0", "[::]", "*")  # noqa: S104 - it is compared, not bound
    return f"http://{'127.0.0.1' if everywhere else host}:{port}"
