"""Which corp a suite's message is about, and what is known of it."""

from datetime import timedelta

from broker.domain.corps import CORP_ID, ShareKind
from broker.domain.credentials import CredentialKey
from broker.domain.errors import CorpNotAuthorized, InvalidRequest
from broker.domain.events.event import SHARE_EVENTS, Event
from broker.domain.events.receiver import ReceiverForm
from broker.domain.ports.clock import Clock
from broker.domain.shares import ListingKey
from broker.domain.suites.authorization import Authorization
from broker.domain.suites.suite import Suite
from broker.protocol.callbacks.message import Message
from broker.protocol.callbacks.redaction import without_credentials
from broker.usecases.callbacks.attribution import event_of
from broker.usecases.callbacks.callback import about_another
from broker.usecases.callbacks.suite_parts import SuiteParts

STORE_PATIENCE = timedelta(seconds=0.5)
"""How long a push waits for a store that restarts: WeCom waits a second (wecom-api C1, G21)."""


class SuiteCorps:
    """What the callbacks of one suite ask about corps."""

    def __init__(self, suite: Suite, parts: SuiteParts, clock: Clock) -> None:
        self._suite = suite
        self._parts = parts
        self._clock = clock

    async def find(self, corp_id: str) -> Authorization | None:
        """Return the corp's authorisation, if it has one."""
        try:
            return await self._parts.corps.find(self._suite, corp_id) if CORP_ID.fullmatch(corp_id) else None
        except CorpNotAuthorized:
            return None

    async def check(self, corp_id: str) -> None:
        """Return if a reply may go to that corp. Raises `CorpNotAuthorized`, `InvalidRequest`."""
        if not corp_id:
            raise InvalidRequest("corp_id", "is required: a suite replies to one corp", app=self._suite.name)
        await self._parts.corps.find(self._suite, corp_id)

    async def form_of(self, corp_id: str) -> ReceiverForm | None:
        """Return what the corp is to the suite; None for a stranger.

        A corp is known only once its auth_code is exchanged, and may send before.
        """
        if await self.find(corp_id):
            return ReceiverForm.AUTHORIZED_CORP
        is_installing = CORP_ID.fullmatch(corp_id) and self._parts.installations.outstanding(self._suite.name)
        return ReceiverForm.INSTALLING_CORP if is_installing else None

    def sender_key(self) -> CredentialKey | None:
        """Return the key of the token of some corp, if one can be used."""
        usable = (found for found in self._parts.corps.of(self._suite.name) if found.is_usable)
        return next((CredentialKey.own_token(found.app(self._suite)) for found in usable), None)

    def listings(self, event: Event) -> list[str]:
        """Return the names of the listings that the event makes out of date."""
        kind = SHARE_EVENTS.get(event.event_type)
        is_listed = kind in self._suite.share_kinds and event.corp_id
        return [ListingKey(self._suite.name, kind, event.corp_id).name] if kind and is_listed else []

    def check_addressee(self, message: Message, *, is_required: bool) -> None:
        """Return if the message is for this suite of this provider. Raises `EnvelopeRejected`."""
        suite_id, service_corp_id = message.word("SuiteId"), message.word("ServiceCorpId")
        if suite_id != self._suite.suite_id and (suite_id or is_required):
            raise about_another("SuiteId", suite_id)
        if service_corp_id not in ("", self._suite.provider.corp_id):
            raise about_another("ServiceCorpId", service_corp_id)

    async def event(self, message: Message, corp_id: str) -> Event:
        """Return the event of a message about that corp; "" for none."""
        found = await self.find(corp_id)
        shared_from = found.shared_from if found else None
        share_kind = (shared_from.share_kind if shared_from else ShareKind.OWN) if found else None
        return self.event_with(
            message,
            corp_id,
            share_kind,
            found.agent_id if found else 0,
            corp_unknown=bool(corp_id and not found),
        )

    def event_with(
        self,
        message: Message,
        corp_id: str,
        share_kind: ShareKind | None,
        agent_id: int,
        *,
        corp_unknown: bool,
    ) -> Event:
        """Return the event of a message, without what only the broker may spend."""
        shown = without_credentials(message)
        # Samples have CDATA without "<" and ">", which is text: no subscriber should see it (wecom-api G35).
        fields = {name: shown.word(name) for name in shown.fields}
        return event_of(
            self._suite.name,
            Message(shown.text, fields),
            self._clock.now(),
            corp_id=corp_id,
            share_kind=share_kind,
            agent_id=message.agent_id or agent_id,
            corp_unknown=corp_unknown,
        )

    async def before_append(self, message: Message) -> None:
        """See `SuiteEvents`."""
        await self._parts.events.before_append(self._suite, message)

    def after_append(self, event: Event) -> None:
        """See `SuiteEvents`."""
        self._parts.events.after_append(self._suite, event)
