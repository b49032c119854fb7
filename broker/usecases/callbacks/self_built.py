"""The callback URL of a self-built app: its corp's, and its children's."""

from datetime import timedelta

from broker.domain.apps import App
from broker.domain.credentials import CredentialKey
from broker.domain.errors import AppNotShared
from broker.domain.events.event import SHARE_EVENTS, Event
from broker.domain.events.receiver import ReceiverForm
from broker.domain.shares import ListingKey
from broker.protocol.callbacks.message import Message
from broker.usecases.callbacks.attribution import Attribution
from broker.usecases.callbacks.callback import sealed_for_another
from broker.usecases.callbacks.settings import CallbackSettings
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.relisting import Relisting

STORE_PATIENCE = timedelta(seconds=1.5)
"""How long a callback waits for a store that restarts; WeCom waits 5 s, and repeats thrice (wecom-api C1)."""


class SelfBuiltCallback:
    """See `Callback`."""

    store_patience = STORE_PATIENCE

    def __init__(
        self,
        app: App,
        settings: CallbackSettings,
        attribution: Attribution,
        shares: ShareDirectory,
        relisting: Relisting,
    ) -> None:
        self.name = app.name
        self.settings = settings
        self._app = app
        self._attribution = attribution
        self._shares = shares
        self._relisting = relisting

    async def echo_form(self, receive_id: str) -> ReceiverForm:
        """See `Callback`; a URL is never verified for a child."""
        form = self._form(receive_id)
        if form is None:
            raise sealed_for_another(receive_id)
        return form

    async def event(self, message: Message, receive_id: str) -> tuple[Event, ReceiverForm]:
        """See `Callback`. An unknown corp is looked up at WeCom, within limits."""
        form = self._form(receive_id)
        if form is None and not self.settings.accept_child_receive_id:
            raise sealed_for_another(receive_id)
        await self._attribution.look_up(self._app, message.corp_id, receive_id)
        if form is None and not self._attribution.shares_with(self._app, receive_id):
            raise sealed_for_another(receive_id)
        return self._attribution.event(self._app, message), form or ReceiverForm.CHILD

    def sender_key(self) -> CredentialKey:
        """See `Callback`."""
        return CredentialKey.own_token(self._app)

    async def before_append(self, _message: Message) -> None:
        """See `Callback`: nothing but the event is written."""

    def notices(self, event: Event) -> list[str]:
        """See `Callback`: a change of shares makes a replica list them."""
        kind = SHARE_EVENTS.get(event.event_type)
        return [ListingKey.of(self._app, kind).name] if kind and kind in self._app.share_kinds else []

    def after_append(self, event: Event, *, is_new: bool) -> None:
        """See `Callback`.

        Two changes of one second look the same (wecom-api C1, C4): a repeat may be another change.
        """
        kind = SHARE_EVENTS.get(event.event_type)
        if kind and not is_new:
            self._relisting.schedule(self._app, kind, event.receive_time)

    async def reply_receiver(self, corp_id: str) -> str:
        """See `Callback`. Raises `AppNotShared`."""
        if corp_id in ("", self._app.corp_id):
            return self._app.corp_id
        if not await self._shares.find(self._app, corp_id, None):
            raise AppNotShared("the app is not shared with this corp", app=self.name, corp_id=corp_id)
        return corp_id

    async def may_call(self, receiver: str, name: str) -> bool:
        """See `Callback`."""
        return name == receiver

    def _form(self, receive_id: str) -> ReceiverForm | None:
        """Return what the receiver is, if it is the app's own whatever its shares are."""
        if receive_id == self._app.corp_id:
            return ReceiverForm.OWN_CORP
        return ReceiverForm.EMPTY if self.settings.takes_nobody(receive_id) else None
