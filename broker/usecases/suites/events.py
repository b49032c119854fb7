"""What WeCom pushes to a suite: what is written before the push is answered, and what follows from it."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

from broker.domain.errors import EnvelopeRejected, StoreUnavailable
from broker.domain.events.event import SHARE_EVENTS, EnvelopeProblem, Event
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.secret import Secret
from broker.domain.shares import ListingKey
from broker.domain.suites.suite import Suite
from broker.protocol.callbacks.message import Message
from broker.usecases.fleet.background import Background
from broker.usecases.shares.relisting import Relisting
from broker.usecases.suites.authorizations import Authorizations
from broker.usecases.suites.cancellation import Cancellation
from broker.usecases.suites.exchanges import Exchanges
from broker.usecases.suites.rereading import Rereading
from broker.usecases.suites.tickets import SuiteTickets

CREDENTIAL = re.compile(r"[\x21-\x7e]{1,4096}")
"""What can travel in a query or in JSON as it is; WeCom promises at most 512 bytes."""
CODE_EVENTS = {"create_auth", "reset_permanent_code"}
CHANGE_EVENTS = {
    "change_auth",
    "corp_arch_auth",
    "approve_special_auth",
    "cancel_special_auth",
    "auth_data_permission",
    "expire_remind_data_permission",
    "expire_data_permission",
}
"""Events after which an authorisation is read again (wecom-api C4)."""
EDITION_EVENTS = {"change_editon", "change_edition"}
"""WeCom misspells it (wecom-api C4)."""
REST, LONGEST_REST = timedelta(seconds=1), timedelta(minutes=1)
"""How long to wait before what the store did not take is tried again: at first, and at most."""


class SuiteEvents:
    """Act on a suite's messages."""

    def __init__(
        self,
        *,
        tickets: SuiteTickets,
        exchanges: Exchanges,
        cancellation: Cancellation,
        authorizations: Authorizations,
        rereading: Rereading,
        relisting: Relisting,
        clock: Clock,
        observer: Observer,
        tasks: Background,
    ) -> None:
        self._tickets = tickets
        self._exchanges = exchanges
        self._cancellation = cancellation
        self._authorizations = authorizations
        self._rereading = rereading
        self._relisting = relisting
        self._clock = clock
        self._observer = observer
        self._tasks = tasks

    async def before_append(self, suite: Suite, message: Message) -> None:
        """Write down what must survive a crash of this replica; a repeat changes nothing.

        Raises `StoreUnavailable`, and `EnvelopeRejected` for a message without what its type promises.
        """
        at = message.created or self._clock.now()
        kind = message.event_type
        if kind == "suite_ticket":
            await self._tickets.take(suite, Secret(_required(message, "SuiteTicket")), at)
        elif kind in CODE_EVENTS:
            code, is_reset = Secret(_required(message, "AuthCode")), kind == "reset_permanent_code"
            await self._exchanges.take(suite, code, at, is_reset=is_reset, state=message.word("State"))
        elif kind == "cancel_auth":
            corp_id = _required(message, "AuthCorpId")
            await self._cancellation.cancel(suite, corp_id, at)
            self._rereading.start((suite.name, corp_id))
        elif kind in CHANGE_EVENTS:
            key = (suite.name, _required(message, "AuthCorpId"))
            await self._authorizations.mark_stale(key)
            self._rereading.start(key)
        elif kind in EDITION_EVENTS and message.named_corp_id:
            key = (suite.name, message.named_corp_id)
            await self._authorizations.mark_stale(key, with_children=True)
            self._rereading.start(key)

    def after_append(self, suite: Suite, event: Event) -> None:
        """Start now what the next reconciliation would do later."""
        if event.event_type in EDITION_EVENTS:
            if not self._authorizations.get((suite.name, event.corp_id)):
                # A corp that installed the app before this broker served it has nothing that could be marked.
                self._in_background(
                    "noting a change of edition",
                    lambda: self._rereading.mark_children(suite.name, event.corp_id),
                )
        elif kind := SHARE_EVENTS.get(event.event_type):
            parent = self._authorizations.get((suite.name, event.corp_id))
            if parent and parent.is_usable and not parent.shares:
                self._in_background(
                    "noting who shares", lambda: self._authorizations.mark_sharing(parent.key)
                )
            # The parent may share before its auth_code is exchanged.
            self._relisting.schedule_listing(ListingKey(suite.name, kind, event.corp_id), event.receive_time)

    def _in_background(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            rest = REST
            while True:
                try:
                    return await work()
                except Exception as error:  # noqa: BLE001 - nobody waits for it, and it must be seen
                    self._observer.background_failed(what, error)
                    if not isinstance(error, StoreUnavailable):
                        return None
                await self._clock.sleep(rest)
                rest = min(rest * 2, LONGEST_REST)

        self._tasks.create_task(run())


def _required(message: Message, name: str) -> str:
    value = message.word(name)
    if not CREDENTIAL.fullmatch(value):
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, f"a {message.event_type} without a usable {name}")
    return value
