"""What WeCom calls with, checked and opened: whose it is, and that it is WeCom's (wecom-api C1-C5)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.errors import BrokerError, EnvelopeRejected, InvalidRequest
from broker.domain.events import EnvelopeProblem, Event
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.domain.shares import AppShare
from broker.protocol.callbacks.envelope import (
    CallbackKeys,
    check_signature,
    open_sealed,
)
from broker.protocol.callbacks.message import Message, read_message
from broker.protocol.callbacks.outside import read_envelope
from broker.usecases.limits.recovery_budget import begin_recovery_budget
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.targets import Targets

LARGEST_BODY = 256 * 1024
LONGEST_WORD = 1024
"""Of the parameters of a query, but for echostr."""
LONGEST_ECHO = 256
LOOKUP_SECONDS = 2.0
"""How long a listing for an unknown corp may take: WeCom drops the connection after 5 s (wecom-api C1)."""
BY_ITSELF = "sys"
"""The FromUserName of what nobody did."""


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """How the callbacks of one app are checked."""

    keys: CallbackKeys
    max_age: timedelta | None
    """How old, or how far ahead, a timestamp may be; None = any."""
    accept_child_receive_id: bool
    """Whether what is sealed for a child that is known will do: for child events that is undocumented."""
    check_sender: bool


@dataclass(frozen=True, slots=True)
class Signed:
    """The parameters of a callback's query."""

    msg_signature: str
    timestamp: str
    nonce: str

    def __post_init__(self) -> None:
        for name in ("msg_signature", "timestamp", "nonce"):
            value = getattr(self, name)
            if not value:
                raise InvalidRequest(name, "is required")
            if len(value) > LONGEST_WORD:
                raise InvalidRequest(name, f"is longer than {LONGEST_WORD} characters")


class CallbackDecoder:
    """Check and open callbacks; nothing is kept of them here."""

    def __init__(
        self,
        settings: Mapping[str, CallbackSettings],
        targets: Targets,
        shares: ShareDirectory,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._settings = settings
        self._targets = targets
        self._shares = shares
        self._clock = clock
        self._observer = observer

    def settings(self, app: str) -> CallbackSettings:
        """Return the app's settings. Raises `UnknownApp`, `InvalidRequest`."""
        found = self._settings.get(self._targets.app(app).name)
        if found is None:
            raise InvalidRequest("app", "has no callback in the configuration")
        return found

    def verify_url(self, app_name: str, signed: Signed, echostr: str) -> bytes:
        """Return what WeCom wants to hear when a URL is registered. Raises `EnvelopeRejected`."""
        if not echostr or len(echostr) > LARGEST_BODY:
            raise InvalidRequest("echostr", "is required" if not echostr else "is too long")
        app, settings = self._targets.app(app_name), self.settings(app_name)
        self._check(settings, signed, echostr)
        opened = open_sealed(settings.keys, echostr)
        if opened.receive_id != app.corp_id:
            raise _for_another(opened.receive_id)
        # A message that somebody caught is signed too: it must not come back in the clear as an echo.
        if len(opened.message) > LONGEST_ECHO or b"<" in opened.message or b"{" in opened.message:
            raise EnvelopeRejected(EnvelopeProblem.FORMAT, "echostr is not one")
        return opened.message

    async def open(self, app_name: str, signed: Signed, body: bytes) -> tuple[Event, Message]:
        """Return the event in a callback, and its message as it was. Raises `EnvelopeRejected`.

        Whose it is, is filled in from the share list; an unknown corp is looked for at WeCom, within limits.
        """
        if len(body) > LARGEST_BODY:
            raise EnvelopeRejected(EnvelopeProblem.SIZE, f"the body is larger than {LARGEST_BODY} bytes")
        app, settings = self._targets.app(app_name), self.settings(app_name)
        envelope = read_envelope(body)
        self._check(settings, signed, envelope.encrypted)
        opened = open_sealed(settings.keys, envelope.encrypted)
        message = read_message(opened.message)
        corp_id = message.corp_id or app.corp_id
        if opened.receive_id != app.corp_id and not settings.accept_child_receive_id:
            raise _for_another(opened.receive_id)
        await self._get_to_know(app, corp_id, opened.receive_id)
        self._check_receiver(app, opened.receive_id)
        return self._event(app, corp_id, message), message

    def _check(self, settings: CallbackSettings, signed: Signed, encrypted: str) -> None:
        check_signature(settings.keys, signed.msg_signature, signed.timestamp, signed.nonce, encrypted)
        if settings.max_age is None:
            return
        try:
            sent_at = datetime.fromtimestamp(int(signed.timestamp), UTC)
            is_near = abs(self._clock.now() - sent_at) <= settings.max_age
        except (ValueError, OverflowError, OSError):
            is_near = False
        if not is_near:
            raise EnvelopeRejected(EnvelopeProblem.TIMESTAMP, "the timestamp is too far from now")

    def _check_receiver(self, app: App, receive_id: str) -> None:
        """Accept what is sealed for the app's corp, or for a known child (wecom-api C2: undocumented)."""
        if receive_id == app.corp_id:
            return
        if not self._shares_with(app, receive_id):
            raise _for_another(receive_id)
        self._observer.sealed_for_child(app.name, receive_id)

    async def _get_to_know(self, app: App, *corp_ids: str) -> None:
        """Look for the first unknown corp at WeCom while there is time; the listing tells of all of them."""
        foreign = [corp_id for corp_id in corp_ids if corp_id not in ("", app.corp_id)]
        unknown = [corp_id for corp_id in foreign if not self._shares_with(app, corp_id)]
        if not unknown:
            return
        begin_recovery_budget()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                await self._shares.find(app, unknown[0], None)
        except (BrokerError, TimeoutError) as error:
            # The event must not be lost because the list cannot be had.
            self._observer.background_failed(f"looking for corp {unknown[0]} of {app.name}", error)

    def _shares_with(self, app: App, corp_id: str) -> list[AppShare]:
        return self._shares.known(app, corp_id, None) or []

    def _event(self, app: App, corp_id: str, message: Message) -> Event:
        share_kind: ShareKind | None
        shares = self._shares_with(app, corp_id)
        if corp_id == app.corp_id:
            share_kind, agent_id = ShareKind.OWN, app.agent_id
        elif share := _the_one(shares, message.agent_id):
            share_kind, agent_id = share.share_kind, share.agent_id
        else:
            share_kind, agent_id = None, message.agent_id
        now = self._clock.now()
        return Event(
            app=app.name,
            corp_id=corp_id,
            share_kind=share_kind,
            agent_id=agent_id,
            user_id="" if message.from_user_name == BY_ITSELF else message.from_user_name,
            event_type=message.event_type,
            change_type=message.change_type,
            create_time=message.created or now,
            receive_time=now,
            fields=message.fields,
            xml=message.text,
            corp_unknown=corp_id != app.corp_id and not shares,
        )


def _the_one(shares: list[AppShare], agent_id: int) -> AppShare | None:
    """Return the share that a child's event is about; AgentID may be the parent's (wecom-api C5)."""
    named = [share for share in shares if share.agent_id == agent_id]
    found = named or shares
    return found[0] if len(found) == 1 else None


def _for_another(receive_id: str) -> EnvelopeRejected:
    return EnvelopeRejected(
        EnvelopeProblem.RECEIVE_ID, "it is sealed for somebody else", receive_id=receive_id[:64]
    )
