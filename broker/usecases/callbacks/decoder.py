"""Callbacks, checked and opened: WeCom must have sent them, and to this app (wecom-api C1-C5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from broker.domain.apps import App
from broker.domain.errors import EnvelopeRejected, InvalidRequest
from broker.domain.events.event import EnvelopeProblem, Event
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.protocol.callbacks.envelope import check_signature, open_sealed
from broker.protocol.callbacks.message import Message, read_message
from broker.protocol.callbacks.outside import read_envelope
from broker.usecases.callbacks.attribution import Attribution
from broker.usecases.callbacks.settings import CallbackSettings
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.targets import Targets

LARGEST_BODY = 256 * 1024
LONGEST_PARAMETER = 1024
"""Of a query, except echostr."""
LONGEST_ECHO = 256


@dataclass(frozen=True, slots=True)
class CallbackApp:
    """An app that has a callback, resolved once for each call."""

    app: App
    settings: CallbackSettings

    def is_addressed(self, receive_id: str) -> bool:
        """Return whether a callback for this receiver is the app's own, whatever its shares are."""
        return receive_id == self.app.corp_id or (not receive_id and self.settings.accept_empty_receive_id)


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
            if len(value) > LONGEST_PARAMETER:
                raise InvalidRequest(name, f"is longer than {LONGEST_PARAMETER} characters")


class CallbackDecoder:
    """Check and open callbacks, without storing them."""

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
        self._attribution = Attribution(shares, clock, observer)
        self._clock = clock
        self._observer = observer

    def app(self, name: str) -> CallbackApp:
        """Return the app of that name. Raises `UnknownApp`, and `InvalidRequest` if it has no callback."""
        app = self._targets.app(name)
        settings = self._settings.get(app.name)
        if settings is None:
            raise InvalidRequest("app", "has no callback in the configuration")
        return CallbackApp(app, settings)

    def verify_url(self, called: CallbackApp, signed: Signed, echostr: str) -> bytes:
        """Return the plaintext that WeCom expects when a URL is registered. Raises `EnvelopeRejected`."""
        if not echostr or len(echostr) > LARGEST_BODY:
            raise InvalidRequest("echostr", "is required" if not echostr else "is too long")
        self._check(called.settings, signed, echostr)
        opened = open_sealed(called.settings.keys, echostr)
        if not called.is_addressed(opened.receive_id):
            raise _sealed_for_another(opened.receive_id)
        # A captured message is signed too: it must not be returned in plaintext as an echo.
        if len(opened.message) > LONGEST_ECHO or b"<" in opened.message or b"{" in opened.message:
            raise EnvelopeRejected(EnvelopeProblem.FORMAT, "echostr is a message")
        return opened.message

    async def open(self, called: CallbackApp, signed: Signed, body: bytes) -> tuple[Event, Message]:
        """Return the event in a callback, and its message. Raises `EnvelopeRejected`.

        An unknown corp is looked up at WeCom, within limits.
        """
        if len(body) > LARGEST_BODY:
            raise EnvelopeRejected(EnvelopeProblem.SIZE, f"the body is larger than {LARGEST_BODY} bytes")
        envelope = read_envelope(body)
        self._check(called.settings, signed, envelope.encrypted)
        opened = open_sealed(called.settings.keys, envelope.encrypted)
        message = read_message(opened.message)
        is_addressed = called.is_addressed(opened.receive_id)
        if not is_addressed and not called.settings.accept_child_receive_id:
            raise _sealed_for_another(opened.receive_id)
        if not opened.receive_id and message.is_robot_reply:
            raise EnvelopeRejected(EnvelopeProblem.FORMAT, "it is a reply to a callback, and none itself")
        await self._attribution.look_up(called.app, message.corp_id, opened.receive_id)
        if not is_addressed:
            self._check_child(called.app, opened.receive_id)
        return self._attribution.event(called.app, message), message

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

    def _check_child(self, app: App, receive_id: str) -> None:
        """Return if the receiver is a child that is known. Raises `EnvelopeRejected`."""
        if not self._attribution.shares_with(app, receive_id):
            raise _sealed_for_another(receive_id)
        self._observer.sealed_for_child(app.name, receive_id)


def _sealed_for_another(receive_id: str) -> EnvelopeRejected:
    return EnvelopeRejected(
        EnvelopeProblem.RECEIVE_ID, "it is sealed for another receiver", receive_id=receive_id[:64]
    )
