"""Callbacks from WeCom: opened, written to the event log once, and only then acknowledged."""

import asyncio
import hashlib
import hmac
from datetime import datetime, timedelta

from broker.domain.corps import ShareKind
from broker.domain.errors import StoreUnavailable
from broker.domain.events.event import SHARE_EVENTS, Event
from broker.domain.events.log import Retention, topic
from broker.domain.ports.clock import Clock
from broker.domain.ports.event_log import EventLog
from broker.domain.shares import ListingKey
from broker.protocol.callbacks.message import Message, delivery_key
from broker.usecases.callbacks.decoder import CallbackApp, CallbackDecoder, Signed
from broker.usecases.callbacks.sender_allowlist import SenderAllowlist
from broker.usecases.shares.relisting import Relisting

STORE_PATIENCE = timedelta(seconds=1.5)
"""How long a callback waits for a store that restarts; WeCom waits 5 s, and repeats thrice (wecom-api C1)."""
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
        decoder: CallbackDecoder,
        allowlist: SenderAllowlist,
        relisting: Relisting,
        log: EventLog[Event],
        keep: Retention,
        clock: Clock,
    ) -> None:
        self._decoder = decoder
        self._allowlist = allowlist
        self._relisting = relisting
        self._log = log
        self._keep = keep
        self._clock = clock
        self._waited_in_vain_at: datetime | None = None

    def app(self, name: str) -> CallbackApp:
        """Return the app of that name. Raises `UnknownApp`, and `InvalidRequest` if it has no callback."""
        return self._decoder.app(name)

    async def verify_url(self, called: CallbackApp, signed: Signed, echostr: str, sender: str) -> bytes:
        """Return the plaintext that WeCom expects when the URL is registered. Raises `EnvelopeRejected`."""
        if called.settings.check_sender:
            await self._allowlist.check(called.app, sender)
        return self._decoder.verify_url(called, signed, echostr)

    async def receive(self, called: CallbackApp, signed: Signed, body: bytes, sender: str) -> bool:
        """Write the event durably; False if it is a repeat. Raises `EnvelopeRejected`, `StoreUnavailable`."""
        # A timer, not the time of day, which may be set back while WeCom waits.
        patience = asyncio.ensure_future(self._clock.sleep(self._patience()))
        try:
            if called.settings.check_sender:
                await self._allowlist.check(called.app, sender)
            event, message = await self._decoder.open(called, signed, body)
            kind = SHARE_EVENTS.get(event.event_type)
            is_new = await self._write(called, event, message, kind, patience)
        finally:
            patience.cancel()
        if kind and not is_new:
            # Two changes of one second look the same (wecom-api C1, C4): a repeat may be another change.
            self._relisting.schedule(called.app, kind, event.receive_time)
        return is_new

    async def _write(
        self,
        called: CallbackApp,
        event: Event,
        message: Message,
        kind: ShareKind | None,
        patience: asyncio.Future[None],
    ) -> bool:
        settings = called.settings
        # Keyed: somebody who reads the store's keys must not be able to guess a message by trying.
        key = hmac.new(settings.keys.aes_key, delivery_key(message).encode(), hashlib.sha256).hexdigest()
        # A captured delivery could be replayed from the earliest to the latest timestamp that is accepted.
        once_in = max(2 * (settings.max_age or timedelta(0)), KEY_KEPT_FOR)
        notify = [topic(event.app)]
        if kind and kind in called.app.share_kinds:
            notify.append(ListingKey.of(called.app, kind).name)
        while True:
            try:
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

    def _patience(self) -> timedelta:
        """Return how long to wait for the store; it must not count as down because a clock was set back."""
        failed_at = self._waited_in_vain_at
        is_known_down = failed_at and timedelta(0) <= self._clock.now() - failed_at < KNOWN_DOWN_FOR
        return timedelta(0) if is_known_down else STORE_PATIENCE
