"""The URL of a 代开发 app at one client: that corp's messages and events (wecom-api B15)."""

import re

from broker.domain.credentials import CredentialKey
from broker.domain.events.event import Event
from broker.domain.events.receiver import ReceiverForm
from broker.domain.shares import AppShare
from broker.domain.suites.authorization import Authorization
from broker.domain.suites.suite import Suite
from broker.protocol.callbacks.message import Message
from broker.usecases.callbacks.attribution import Attribution
from broker.usecases.callbacks.callback import about_another, sealed_for_another
from broker.usecases.callbacks.settings import CallbackSettings
from broker.usecases.callbacks.suite_corps import STORE_PATIENCE, SuiteCorps

PLAIN_CORP_ID = re.compile(r"w[wx][A-Za-z0-9]{1,62}")
ENCRYPTED_CORP_ID = re.compile(r"w[op]")
"""How encrypted ones begin (wecom-api C4)."""
LOOKUP_SECONDS = 0.4
"""How long a listing for an unknown child may take: WeCom waits a second (wecom-api G21)."""


class ClientCallback:
    """See `Callback`. The keys may be the client's own: they open nothing that is about another corp."""

    store_patience = STORE_PATIENCE

    def __init__(
        self,
        suite: Suite,
        corp_id: str,
        settings: CallbackSettings,
        corps: SuiteCorps,
        attribution: Attribution,
        others: frozenset[str],
    ) -> None:
        self.name = suite.name
        self.settings = settings
        self._suite = suite
        self._corp_id = corp_id
        self._corps = corps
        self._attribution = attribution
        self._others = others

    async def echo_form(self, receive_id: str) -> ReceiverForm:
        """See `Callback`. WeCom does not say for whom these are sealed (wecom-api C2)."""
        if self.settings.takes_nobody(receive_id):
            return ReceiverForm.EMPTY
        if receive_id == self._corp_id:
            return ReceiverForm.AUTHORIZED_CORP
        if receive_id == self._suite.suite_id:
            return ReceiverForm.SUITE
        if receive_id == self._suite.provider.corp_id:
            return ReceiverForm.PROVIDER
        if await self._may_be_its_plain_id(receive_id):
            return ReceiverForm.PLAIN_CORP
        raise sealed_for_another(receive_id)

    async def event(self, message: Message, receive_id: str) -> tuple[Event, ReceiverForm]:
        """See `Callback`. A client that is unknown is taken while an installation is open, and marked."""
        self._corps.check_addressee(message, is_required=False)
        client = await self._corps.find(self._corp_id)
        if client is None and not await self._corps.form_of(self._corp_id):
            raise about_another("corp", self._corp_id)
        named = message.named_corp_id if message.is_command else message.corp_id
        if message.is_command and not named:
            # Tickets and codes concern every client: they come in at the template's URL alone.
            raise about_another("AuthCorpId", "")
        if await self._is_client(client, named):
            return await self._corps.event(message, self._corp_id), await self.echo_form(receive_id)
        event = await self._of_child(client, message, named)
        if receive_id == named and not event.corp_unknown:
            return event, ReceiverForm.CHILD
        return event, await self.echo_form(receive_id)

    def sender_key(self) -> CredentialKey | None:
        """See `Callback`."""
        return self._corps.sender_key()

    async def before_append(self, _message: Message) -> None:
        """See `Callback`: nothing but the event is written."""

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
        """See `Callback`; the client's messages may be addressed to the suite, or to its plain id."""
        return name in (receiver, self._suite.suite_id) or await self._may_be_its_plain_id(name)

    async def _is_client(self, client: Authorization | None, named: str) -> bool:
        """Return whether the message is the client's own; a corp that it shares the app with is another."""
        if named in ("", self._corp_id, self._suite.suite_id):
            return True
        is_provider = named == self._suite.provider.corp_id
        if not is_provider and not await self._may_be_its_plain_id(named):
            return False
        await self._load_shares(client)
        return not self._shares_with(client, named)

    async def _may_be_its_plain_id(self, corp_id: str) -> bool:
        """Return whether the client may be called so: plain ids of encrypted ones were seen (wecom-api C2).

        Its children may have plain ids too (wecom-api B17), so none that is known may be.
        """
        if not ENCRYPTED_CORP_ID.match(self._corp_id) or not PLAIN_CORP_ID.fullmatch(corp_id):
            return False
        if corp_id in self._others or await self._corps.find(corp_id):
            return False
        return not self._shares_with(await self._corps.find(self._corp_id), corp_id)

    def _shares_with(self, client: Authorization | None, corp_id: str) -> list[AppShare]:
        """Return the shares with that child in memory."""
        if client is None or client.permanent_code is None:
            return []
        return self._attribution.shares_with(client.app(self._suite), corp_id)

    async def _load_shares(self, client: Authorization | None) -> None:
        """Have the client's shares in memory; one that must authorise again cannot be asked for them."""
        if client and client.permanent_code:
            app = client.app(self._suite)
            await self._attribution.load(app, may_ask=client.is_usable, within=LOOKUP_SECONDS)

    async def _of_child(self, client: Authorization | None, message: Message, named: str) -> Event:
        """Return the event of a child that the client shares the app with. Raises `EnvelopeRejected`."""
        if child := await self._corps.find(named):
            if child.shared_from is None or child.shared_from.corp_id != self._corp_id:
                raise about_another("corp", named)
            return await self._corps.event(message, named)
        if client and client.is_usable:
            await self._attribution.look_up(client.app(self._suite), named, within=LOOKUP_SECONDS)
        else:
            await self._load_shares(client)
        shares = self._shares_with(client, named)
        if not shares and not (client and client.is_usable):
            raise about_another("corp", named)
        sole = shares[0] if len(shares) == 1 else None
        return self._corps.event_with(
            message,
            named,
            sole.share_kind if sole else None,
            sole.agent_id if sole else 0,
            corp_unknown=not shares,
        )
