"""What the callbacks of suites need of those who keep authorisations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from broker.domain.events.event import Event
from broker.domain.suites.authorization import Authorization
from broker.domain.suites.installation import Installation
from broker.domain.suites.suite import Suite
from broker.protocol.callbacks.message import Message


class AuthorizedCorps(Protocol):
    """The corps that authorised each suite."""

    async def find(self, suite: Suite, corp_id: str) -> Authorization:
        """Return the corp's authorisation. Raises `CorpNotAuthorized`, also for a cancelled one."""

    def of(self, suite: str) -> Sequence[Authorization]:
        """Return the suite's authorisations that are in memory."""


class OpenInstallations(Protocol):
    """The auth_codes that are not exchanged yet: their corps are unknown."""

    def outstanding(self, suite: str) -> Sequence[Installation]:
        """Return the suite's."""


class SuiteEvents(Protocol):
    """What a suite's messages change. WeCom is never called before a callback is answered."""

    async def before_append(self, suite: Suite, message: Message) -> None:
        """Write what must survive: tickets, codes, cancellations, changes. Raises `StoreUnavailable`."""

    def after_append(self, suite: Suite, event: Event) -> None:
        """Start in the background what the event calls for."""


@dataclass(frozen=True, slots=True)
class SuiteParts:
    """All of them."""

    corps: AuthorizedCorps
    installations: OpenInstallations
    events: SuiteEvents
