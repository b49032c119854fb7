"""The URL of a suite: its commands (指令回调), and the data of the corps that authorised it (数据回调)."""

from broker.domain.credentials import CredentialKey
from broker.domain.events.event import Event
from broker.domain.events.receiver import ReceiverForm
from broker.domain.suites.suite import Suite
from broker.protocol.callbacks.message import Message
from broker.usecases.callbacks.callback import about_another, sealed_for_another
from broker.usecases.callbacks.settings import CallbackSettings
from broker.usecases.callbacks.suite_corps import STORE_PATIENCE, SuiteCorps

OF_CORPS = (ReceiverForm.AUTHORIZED_CORP, ReceiverForm.INSTALLING_CORP)


class SuiteCallback:
    """See `Callback`."""

    store_patience = STORE_PATIENCE

    def __init__(self, suite: Suite, settings: CallbackSettings, corps: SuiteCorps) -> None:
        self.name = suite.name
        self.settings = settings
        self._suite = suite
        self._corps = corps

    async def echo_form(self, receive_id: str) -> ReceiverForm:
        """See `Callback`: mostly the provider's corp (wecom-api C2)."""
        form = await self._form(receive_id)
        if form is None:
            raise sealed_for_another(receive_id)
        return form

    async def event(self, message: Message, receive_id: str) -> tuple[Event, ReceiverForm]:
        """See `Callback`. A corp that is unknown is taken while an installation is open, and marked."""
        form = await self.echo_form(receive_id)
        corp_id = receive_id if form in OF_CORPS else ""
        self._corps.check_addressee(message, is_required=message.is_command and not corp_id)
        named = self._named(message)
        if corp_id and named != corp_id and await self._corps.find(named):
            raise about_another("corp", named)
        if not corp_id and not message.is_command and not await self._corps.form_of(named):
            raise about_another("ToUserName", named)
        return await self._corps.event(message, corp_id or named), form

    def sender_key(self) -> CredentialKey | None:
        """See `Callback`."""
        return self._corps.sender_key()

    async def before_append(self, message: Message) -> None:
        """See `Callback`: tickets, codes, cancellations and changes."""
        if message.is_command:
            await self._corps.before_append(message)

    def notices(self, event: Event) -> list[str]:
        """See `Callback`: a change of shares makes a replica list them."""
        return self._corps.listings(event)

    def after_append(self, event: Event, *, is_new: bool) -> None:  # noqa: ARG002 - both are followed
        """See `Callback`; a repeat may be another change of the same second."""
        self._corps.after_append(event)

    async def reply_receiver(self, corp_id: str) -> str:
        """See `Callback`. Raises `CorpNotAuthorized`."""
        await self._corps.check(corp_id)
        return corp_id

    async def may_call(self, receiver: str, name: str) -> bool:
        """See `Callback`; messages of a corp may be addressed to the suite."""
        return name in (receiver, self._suite.suite_id)

    async def _form(self, receive_id: str) -> ReceiverForm | None:
        if receive_id == self._suite.suite_id:
            return ReceiverForm.SUITE
        if self.settings.takes_nobody(receive_id):
            return ReceiverForm.EMPTY
        # The provider's own corp may have authorised the suite too.
        if receive_id == self._suite.provider.corp_id and not await self._corps.find(receive_id):
            return ReceiverForm.PROVIDER
        return await self._corps.form_of(receive_id)

    def _named(self, message: Message) -> str:
        """Return the corp that the message names; "" if it names the suite, or nobody."""
        if message.is_command:
            return message.named_corp_id
        return "" if message.corp_id == self._suite.suite_id else message.corp_id
