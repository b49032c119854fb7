"""Callbacks from WeCom: opened, written to the event log once, and only then acknowledged."""

import asyncio
import hashlib
import hmac
from datetime import datetime, timedelta

from broker.domain.errors import StoreUnavailable
from broker.domain.events.event import Event
from broker.domain.events.log import Retention, topic
from broker.domain.ports.clock import Clock
from broker.domain.ports.event_log import EventLog
from broker.protocol.callbacks.message import Message, delivery_key
from broker.usecases.callbacks.callback import Callback
from broker.usecases.callbacks.decoder import CallbackDecoder, Signed
from broker.usecases.callbacks.sender_allowlist import SenderAllowlist
from broker.usecases.callbacks.urls import CallbackUrls

RETRY_INTERVAL = timedelta(seconds=0.1)
KNOWN_DOWN_FOR = timedelta(seconds=5)
"""How long no callback waits after one gave up waiting: the store is down, not just restarting."""
KEY_KEPT_FOR = timedelta(hours=1)
"""How long a repeat is recognised, at least; WeCom repeats within seconds, perhaps sealed anew."""


class CallbackInbox:
    """Receive callbacks."""

    def __init__(
        self,
        *,
        urls: CallbackUrls,
        decoder: CallbackDecoder,
        allowlist: SenderAllowlist,
        log: EventLog[Event],
        keep: Retention,
        clock: Clock,
    ) -> None:
        self._urls = urls
        self._decoder = decoder
        self._allowlist = allowlist
        self._log = log
        self._keep = keep
        self._clock = clock
        self._waited_in_vain_at: datetime | None = None

    def callback(self, name: str, corp_id: str = "") -> Callback:
        """Return the callback of that URL. Raises `UnknownApp`, and `InvalidRequest` if it has none."""
        return self._urls.find(name, corp_id)

    async def verify_url(self, called: Callback, signed: Signed, echostr: str, sender: str) -> bytes:
        """Return the plaintext that WeCom expects when the URL is registered. Raises `EnvelopeRejected`."""
        await self._check_sender(called, sender)
        plaintext, _ = await self._decoder.verify_url(called, signed, echostr)
        return plaintext

    async def receive(self, called: Callback, signed: Signed, body: bytes, sender: str) -> bool:
        """Write the event durably; False if it is a repeat. Raises `EnvelopeRejected`, `StoreUnavailable`."""
        # A timer, not the time of day, which may be set back while WeCom waits.
        patience = asyncio.ensure_future(self._clock.sleep(self._patience(called)))
        try:
            await self._check_sender(called, sender)
            event, message = await self._decoder.open(called, signed, body)
            is_new = await self._write(called, event, message, patience)
        finally:
            patience.cancel()
        called.after_append(event, is_new=is_new)
        return is_new

    async def _check_sender(self, called: Callback, sender: str) -> None:
        if called.settings.check_sender:
            await self._allowlist.check(called.name, called.sender_key(), sender)

    async def _write(
        self, called: Callback, event: Event, message: Message, patience: asyncio.Future[None]
    ) -> bool:
        settings = called.settings
        # Keyed: somebody who reads the store's keys must not be able to guess a message by trying.
        key = hmac.new(settings.keys.aes_key, delivery_key(message).encode(), hashlib.sha256).hexdigest()
        # A captured delivery could be replayed from the earliest to the latest timestamp that is accepted.
        once_in = max(2 * (settings.max_age or timedelta(0)), KEY_KEPT_FOR)
        notify = [topic(event.app), *called.notices(event)]
        while True:
            try:
                # Before the event: it is a repeat once that is written, and WeCom does not send it again.
                await called.before_append(message)
                position = await self._log.append(
                    event, key=key, once_in=once_in, keep=self._keep, notify=notify
                )
            except StoreUnavailable:
                if patience.done():
                    self._waited_in_vain_at = self._clock.now()
                    raise
                await self._clock.sleep(RETRY_INTERVAL)
            else:
                self._waited_in_vain_at = None
                return bool(position)

    def _patience(self, called: Callback) -> timedelta:
        """Return how long to wait for the store; it must not count as down because a clock was set back."""
        failed_at = self._waited_in_vain_at
        is_known_down = failed_at and timedelta(0) <= self._clock.now() - failed_at < KNOWN_DOWN_FOR
        return timedelta(0) if is_known_down else called.store_patience
