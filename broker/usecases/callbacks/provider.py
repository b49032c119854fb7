"""The system-event URL of a provider (服务商): licences, registrations, migrations (wecom-api C1, C4)."""

from collections.abc import Sequence

from broker.domain.credentials import CredentialKey
from broker.domain.errors import InvalidRequest
from broker.domain.events.event import Event
from broker.domain.events.receiver import ReceiverForm
from broker.domain.ports.clock import Clock
from broker.domain.suites.suite import Provider, Suite
from broker.protocol.callbacks.message import Message
from broker.protocol.callbacks.redaction import without_credentials
from broker.usecases.callbacks.attribution import event_of
from broker.usecases.callbacks.callback import about_another, sealed_for_another
from broker.usecases.callbacks.settings import CallbackSettings
from broker.usecases.callbacks.suite_corps import STORE_PATIENCE, SuiteCorps


class ProviderCallback:
    """See `Callback`."""

    store_patience = STORE_PATIENCE

    def __init__(
        self,
        provider: Provider,
        settings: CallbackSettings,
        suites: Sequence[tuple[Suite, SuiteCorps]],
        clock: Clock,
    ) -> None:
        self.name = provider.name
        self.settings = settings
        self._provider = provider
        self._suites = suites
        self._clock = clock

    async def echo_form(self, receive_id: str) -> ReceiverForm:
        """See `Callback`."""
        form = self._form(receive_id)
        if form is None:
            raise sealed_for_another(receive_id)
        return form

    async def event(self, message: Message, receive_id: str) -> tuple[Event, ReceiverForm]:
        """See `Callback`.

        WeCom does not say for whom these are sealed, but they name the provider (wecom-api C1).
        """
        service_corp_id, corp_id = message.word("ServiceCorpId"), message.named_corp_id
        if service_corp_id != self._provider.corp_id:
            raise about_another("ServiceCorpId", service_corp_id)
        form = self._form(receive_id)
        if form is None and (not corp_id or receive_id != corp_id):
            raise sealed_for_another(receive_id)
        shown = without_credentials(message)
        event = event_of(self.name, shown, self._clock.now(), corp_id=corp_id, agent_id=message.agent_id)
        return event, form or ReceiverForm.AUTHORIZED_CORP

    def sender_key(self) -> CredentialKey | None:
        """See `Callback`."""
        return next((key for _, corps in self._suites if (key := corps.sender_key())), None)

    async def before_append(self, _message: Message) -> None:
        """See `Callback`: nothing but the event is written."""

    def notices(self, _event: Event) -> list[str]:
        """See `Callback`."""
        return []

    def after_append(self, _event: Event, *, is_new: bool) -> None:
        """See `Callback`: system events are for subscribers."""

    async def reply_receiver(self, _corp_id: str) -> str:
        """See `Callback`."""
        raise InvalidRequest("app", "is a provider, whose system events take no reply", app=self.name)

    async def may_call(self, _receiver: str, _name: str) -> bool:
        """See `Callback`."""
        return False

    def _form(self, receive_id: str) -> ReceiverForm | None:
        if receive_id == self._provider.corp_id:
            return ReceiverForm.PROVIDER
        if self.settings.takes_nobody(receive_id):
            return ReceiverForm.EMPTY
        return ReceiverForm.SUITE if receive_id in {suite.suite_id for suite, _ in self._suites} else None
