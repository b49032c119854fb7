"""Callbacks, checked and opened: WeCom must have sent them, and to this app (wecom-api C1-C5)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.domain.errors import EnvelopeRejected, InvalidRequest
from broker.domain.events.event import EnvelopeProblem, Event
from broker.domain.events.receiver import ReceiverForm
from broker.domain.ports.clock import Clock
from broker.domain.ports.observer import Observer
from broker.protocol.callbacks.envelope import Opened, check_signature, open_sealed, other_times
from broker.protocol.callbacks.message import Message, read_message
from broker.protocol.callbacks.outside import read_envelope
from broker.protocol.callbacks.reply import is_marked
from broker.usecases.callbacks.callback import Callback
from broker.usecases.callbacks.settings import CallbackSettings

LARGEST_BODY = 256 * 1024
LONGEST_PARAMETER = 1024
"""Of a query, except echostr."""
LONGEST_ECHO = 256
OF_CORPS = (ReceiverForm.AUTHORIZED_CORP, ReceiverForm.INSTALLING_CORP)
OWN_TIME_WITHIN = timedelta(hours=1)
"""How far what a message says of its time may be from its signature's: WeCom repeats within seconds."""
UNTIMED_FOR = timedelta(days=2)
"""How long a message that says no time is refused if its signature may be of that time. WeCom's nonces are
random numbers of up to ten digits: one of 12,000 reads as a time of the last two days."""


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

    async def verify_url(self, called: Callback, signed: Signed, echostr: str) -> tuple[bytes, str]:
        """Return the plaintext that WeCom expects for a URL, and the corp that it is sealed for.

        That is "" if it is for the app, the suite or the provider itself. Raises `EnvelopeRejected`.
        """
        if not echostr or len(echostr) > LARGEST_BODY:
            raise InvalidRequest("echostr", "is required" if not echostr else "is too long")
        opened = self._opened(called.settings, signed, echostr)
        form = await called.echo_form(opened.receive_id)
        # A captured message is signed too: it must not be returned in plaintext as an echo.
        if len(opened.message) > LONGEST_ECHO or b"<" in opened.message or b"{" in opened.message:
            raise EnvelopeRejected(EnvelopeProblem.FORMAT, "echostr is a message")
        self._observer.callback_addressed(called.name, form, opened.receive_id)
        return opened.message, opened.receive_id if form in OF_CORPS else ""

    async def open(self, called: Callback, signed: Signed, body: bytes) -> tuple[Event, Message]:
        """Return the event in a callback, and its message. Raises `EnvelopeRejected`.

        The message may have credentials that the event does not show.
        """
        if len(body) > LARGEST_BODY:
            raise EnvelopeRejected(EnvelopeProblem.SIZE, f"the body is larger than {LARGEST_BODY} bytes")
        envelope = read_envelope(body)
        opened = self._opened(called.settings, signed, envelope.encrypted)
        message = read_message(opened.message)
        _check_time(called.settings, signed, message.created)
        if not opened.receive_id and message.is_robot_reply:
            raise EnvelopeRejected(EnvelopeProblem.FORMAT, "it is a reply to a callback, and none itself")
        event, form = await called.event(message, opened.receive_id)
        self._observer.callback_addressed(called.name, form, opened.receive_id)
        return event, message

    def _opened(self, settings: CallbackSettings, signed: Signed, encrypted: str) -> Opened:
        """Return what is in the envelope, if WeCom sealed it, and lately. Raises `EnvelopeRejected`."""
        check_signature(settings.keys, signed.msg_signature, signed.timestamp, signed.nonce, encrypted)
        self._check_age(settings, signed)
        opened = open_sealed(settings.keys, encrypted)
        if is_marked(settings.keys, opened.random):
            raise EnvelopeRejected(
                EnvelopeProblem.FORMAT, "it is a broker's reply to a callback, and none itself"
            )
        return opened

    def _check_age(self, settings: CallbackSettings, signed: Signed) -> None:
        if settings.max_age is None:
            return
        try:
            sent_at = datetime.fromtimestamp(int(signed.timestamp), UTC)
            is_near = abs(self._clock.now() - sent_at) <= settings.max_age
        except (ValueError, OverflowError, OSError):
            is_near = False
        if not is_near:
            raise EnvelopeRejected(EnvelopeProblem.TIMESTAMP, "the timestamp is too far from now")


def _check_time(settings: CallbackSettings, signed: Signed, created: datetime | None) -> None:
    """Refuse a message of the time that is its nonce now: an old one, with timestamp and nonce changed over.

    Raises `EnvelopeRejected`. A nonce may look like a time: what the message says of its own decides.
    """
    told = int(signed.timestamp)
    said = int(created.timestamp()) if created else None
    for other in other_times(signed.timestamp, signed.nonce) if settings.max_age else ():
        if said is None:
            is_other = 0 < told - other < UNTIMED_FOR.total_seconds()
        else:
            distance = abs(said - other)
            is_other = distance < OWN_TIME_WITHIN.total_seconds() and distance < abs(said - told)
        if is_other:
            raise EnvelopeRejected(EnvelopeProblem.TIMESTAMP, "it is of the time that its nonce says")
