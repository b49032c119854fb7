"""Callbacks of services with a callback URL of their own: the same rules, but nothing is stored."""

import re

from broker.domain.apps import App
from broker.domain.errors import AppNotShared, EnvelopeRejected, InvalidRequest
from broker.domain.events.event import SHARE_EVENTS, Event
from broker.domain.ports.clock import Clock, Randomness
from broker.protocol.callbacks.envelope import LONGEST_NONCE, sealed_reply, sealed_robot_reply
from broker.protocol.callbacks.json import is_json
from broker.protocol.callbacks.message import read_message
from broker.usecases.callbacks.decoder import LARGEST_BODY, CallbackDecoder, Signed
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.relisting import Relisting

NONCE = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_NONCE}}}")


class ExternalCallbacks:
    """Verify, open and reply for services that WeCom calls directly."""

    def __init__(
        self,
        decoder: CallbackDecoder,
        shares: ShareDirectory,
        relisting: Relisting,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        self._decoder = decoder
        self._shares = shares
        self._relisting = relisting
        self._clock = clock
        self._randomness = randomness

    def verify_url(self, app: str, signed: Signed, echostr: str) -> bytes:
        """Return the plaintext that WeCom expects when a URL is registered. Raises `EnvelopeRejected`."""
        return self._decoder.verify_url(self._decoder.app(app), signed, echostr)

    async def open(self, app: str, signed: Signed, body: bytes) -> Event:
        """Return the event in an envelope. Raises `EnvelopeRejected`."""
        if not body:
            raise InvalidRequest("body", "is required")
        called = self._decoder.app(app)
        event, _ = await self._decoder.open(called, signed, body)
        if kind := SHARE_EVENTS.get(event.event_type):
            self._relisting.schedule(called.app, kind, self._clock.now())
        return event

    async def seal_reply(self, app: str, corp_id: str, message: str, nonce: str) -> bytes:
        """Return the body of a passive reply to the corp, or to a robot. Raises `AppNotShared`.

        Robots expect the nonce of the callback that is replied to (doc 101033); "" = a new one.
        """
        called = self._decoder.app(app)
        _check_reply(message, nonce)
        if corp_id not in ("", called.app.corp_id):
            await self._check_known(called.app, corp_id)
        timestamp = int(self._clock.now().timestamp())
        nonce = nonce or self._randomness.unguessable()[:16]
        random = bytes.fromhex(self._randomness.unguessable())
        keys, plaintext = called.settings.keys, message.encode()
        if called.settings.accept_empty_receive_id and is_json(message):
            _check_robot_reply(plaintext)
            return sealed_robot_reply(keys, plaintext, timestamp=timestamp, nonce=nonce, random=random)
        receive_id = corp_id or called.app.corp_id
        return sealed_reply(keys, plaintext, receive_id, timestamp=timestamp, nonce=nonce, random=random)

    async def _check_known(self, app: App, corp_id: str) -> None:
        if not await self._shares.find(app, corp_id, None):
            raise AppNotShared("the app is not shared with this corp", app=app.name, corp_id=corp_id)


def _check_reply(message: str, nonce: str) -> None:
    if not message:
        raise InvalidRequest("message", "is required")
    if len(message) > LARGEST_BODY:
        raise InvalidRequest("message", f"is longer than {LARGEST_BODY} characters")
    if nonce and not NONCE.fullmatch(nonce):
        raise InvalidRequest(
            "nonce", f"is not the nonce of a callback: at most {LONGEST_NONCE} letters and digits"
        )


def _check_robot_reply(plaintext: bytes) -> None:
    """Refuse a reply that the callback endpoint would accept as a callback: the caller could forge one."""
    try:
        is_reply = read_message(plaintext).is_robot_reply
    except EnvelopeRejected:
        raise InvalidRequest("message", "is not JSON") from None
    if not is_reply:
        raise InvalidRequest("message", "has fields of a callback, as msgid or from: it is no reply")
