"""Callbacks, checked and opened: WeCom must have sent them, and to this app (wecom-api C1-C5)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from broker.domain.errors import EnvelopeRejected, InvalidRequest
from broker.domain.events.event import EnvelopeProblem, Event
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.protocol.callbacks.envelope import check_signature, open_sealed
from broker.protocol.callbacks.message import Message, read_message
from broker.protocol.callbacks.outside import read_envelope
from broker.usecases.callbacks.callback import Callback
from broker.usecases.callbacks.settings import CallbackSettings

LARGEST_BODY = 256 * 1024
LONGEST_PARAMETER = 1024
"""Of a query, except echostr."""
LONGEST_ECHO = 256


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

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self._clock = clock
        self._observer = observer

    async def verify_url(self, called: Callback, signed: Signed, echostr: str) -> bytes:
        """Return the plaintext that WeCom expects when a URL is registered. Raises `EnvelopeRejected`."""
        if not echostr or len(echostr) > LARGEST_BODY:
            raise InvalidRequest("echostr", "is required" if not echostr else "is too long")
        self._check(called.settings, signed, echostr)
        opened = open_sealed(called.settings.keys, echostr)
        form = await called.echo_form(opened.receive_id)
        # A captured message is signed too: it must not be returned in plaintext as an echo.
        if len(opened.message) > LONGEST_ECHO or b"<" in opened.message or b"{" in opened.message:
            raise EnvelopeRejected(EnvelopeProblem.FORMAT, "echostr is a message")
        self._observer.callback_addressed(called.name, form, opened.receive_id)
        return opened.message

    async def open(self, called: Callback, signed: Signed, body: bytes) -> tuple[Event, Message]:
        """Return the event in a callback, and its message. Raises `EnvelopeRejected`.

        The message may have credentials that the event does not show.
        """
        if len(body) > LARGEST_BODY:
            raise EnvelopeRejected(EnvelopeProblem.SIZE, f"the body is larger than {LARGEST_BODY} bytes")
        envelope = read_envelope(body)
        self._check(called.settings, signed, envelope.encrypted)
        opened = open_sealed(called.settings.keys, envelope.encrypted)
        message = read_message(opened.message)
        if not opened.receive_id and message.is_robot_reply:
            raise EnvelopeRejected(EnvelopeProblem.FORMAT, "it is a reply to a callback, and none itself")
        event, form = await called.event(message, opened.receive_id)
        self._observer.callback_addressed(called.name, form, opened.receive_id)
        return event, message

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
