"""Callbacks of services with a callback URL of their own: the same rules, but nothing is stored."""

import re
from collections.abc import Callable

from broker.domain.errors import EnvelopeRejected, InvalidRequest
from broker.domain.events.event import Event
from broker.domain.ports.clock import Clock, Randomness
from broker.protocol.callbacks.envelope import LONGEST_NONCE
from broker.protocol.callbacks.json import is_json
from broker.protocol.callbacks.message import Message, read_message
from broker.protocol.callbacks.reply import sealed_reply, sealed_robot_reply, why_no_reply
from broker.usecases.callbacks.decoder import LARGEST_BODY, CallbackDecoder, Signed
from broker.usecases.callbacks.urls import CallbackUrls

NONCE = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_NONCE}}}")


class ExternalCallbacks:
    """Verify, open and reply for services that WeCom calls directly."""

    def __init__(
        self, urls: CallbackUrls, decoder: CallbackDecoder, clock: Clock, randomness: Randomness
    ) -> None:
        self._urls = urls
        self._decoder = decoder
        self._clock = clock
        self._randomness = randomness

    async def verify_url(
        self, app: str, signed: Signed, echostr: str, corp_id: str, grant: Callable[[str], None]
    ) -> bytes:
        """Return the plaintext that WeCom expects when a URL is registered. Raises `EnvelopeRejected`.

        `corp_id` says of which 代开发 client the URL is. Raises what `grant` raises for the corp that the
        verification is sealed for, which may be another.
        """
        plaintext, sealed_for = await self._decoder.verify_url(self._urls.find(app, corp_id), signed, echostr)
        if sealed_for:
            grant(sealed_for)
        return plaintext

    async def open(
        self, app: str, signed: Signed, body: bytes, corp_id: str, grant: Callable[[str], None]
    ) -> Event:
        """Return the event in an envelope. Raises `EnvelopeRejected`, and what `grant` raises for its corp.

        Also what it changes is done: a suite_ticket or an auth_code is kept. Raises `StoreUnavailable`.
        """
        if not body:
            raise InvalidRequest("body", "is required")
        called = self._urls.find(app, corp_id)
        event, message = await self._decoder.open(called, signed, body)
        grant(event.corp_id)
        await called.before_append(message)
        called.after_append(event, is_new=False)
        return event

    async def seal_reply(self, app: str, corp_id: str, message: str, nonce: str) -> bytes:
        """Return the body of a passive reply to the corp, or to a robot. Raises `AppNotShared`.

        Robots expect the nonce of the callback that is replied to (doc 101033); "" = a new one.
        """
        called = self._urls.replying(app, corp_id)
        reply = _reply(message, nonce)
        keys, plaintext = called.settings.keys, message.encode()
        is_for_robot = called.settings.accept_empty_receive_id and is_json(message)
        receive_id = "" if is_for_robot and not corp_id else await called.reply_receiver(corp_id)
        if reply.from_user_name and not await called.may_call(receive_id, reply.from_user_name):
            raise InvalidRequest("message", "has a FromUserName that is not the corp that it is sealed for")
        timestamp = int(self._clock.now().timestamp())
        nonce = nonce or self._randomness.unguessable()[:16]
        random = bytes.fromhex(self._randomness.unguessable())
        if is_for_robot:
            return sealed_robot_reply(keys, plaintext, timestamp=timestamp, nonce=nonce, random=random)
        return sealed_reply(keys, plaintext, receive_id, timestamp=timestamp, nonce=nonce, random=random)


def _reply(message: str, nonce: str) -> Message:
    """Return the reply. Raises `InvalidRequest` if it is none, or the nonce not that of a callback."""
    if not message:
        raise InvalidRequest("message", "is required")
    if len(message) > LARGEST_BODY:
        raise InvalidRequest("message", f"is longer than {LARGEST_BODY} characters")
    if nonce and not NONCE.fullmatch(nonce):
        raise InvalidRequest(
            "nonce", f"is not the nonce of a callback: at most {LONGEST_NONCE} letters and digits"
        )
    try:
        reply = read_message(message.encode())
    except EnvelopeRejected:
        raise InvalidRequest("message", "is neither XML nor JSON") from None
    if problem := why_no_reply(reply):
        raise InvalidRequest("message", problem)
    return reply
