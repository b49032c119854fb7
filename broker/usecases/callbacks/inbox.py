"""What WeCom posts, taken in: opened, written down once, and only then acknowledged."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.errors import StoreUnavailable
from broker.domain.event_log import Retention, topic
from broker.domain.events import SHARE_EVENTS, Event
from broker.domain.ports.event_log import EventLog
from broker.domain.shares import ShareList
from broker.protocol.callbacks.message import Message, delivery_key
from broker.usecases.callbacks.decoder import CallbackDecoder, CallbackSettings, Signed
from broker.usecases.callbacks.sender_allowlist import SenderAllowlist
from broker.usecases.events.record import to_entry
from broker.usecases.shares.relisting import Relisting

PATIENCE_SECONDS = 1.5
"""How long a store that restarts is waited for, from when the callback came: WeCom's own repeats are few, and
it waits 5 s (wecom-api C1)."""
AGAIN_SECONDS = 0.1
REMEMBERED = timedelta(hours=1)
"""How long a delivery is known again at least; WeCom repeats within seconds, perhaps sealed anew."""


class CallbackInbox:
    """Take callbacks in."""

    def __init__(
        self,
        *,
        apps: Mapping[str, App],
        opening: CallbackDecoder,
        senders: SenderAllowlist,
        renewal: Relisting,
        log: EventLog,
        keep: Retention,
    ) -> None:
        self._apps = apps
        self._opening = opening
        self._senders = senders
        self._renewal = renewal
        self._log = log
        self._keep = keep

    def check_app(self, app: str) -> None:
        """Return if the app is configured with a callback. Raises `UnknownApp`, `InvalidRequest`."""
        self._opening.settings(app)

    async def verify_url(self, app: str, signed: Signed, echostr: str, sender: str) -> bytes:
        """Return what WeCom wants to hear when the URL is registered. Raises `EnvelopeRejected`."""
        if self._opening.settings(app).check_sender:
            await self._senders.check(self._apps[app], sender)
        return self._opening.verify_url(app, signed, echostr)

    async def receive(self, app: str, signed: Signed, body: bytes, sender: str) -> bool:
        """Write the event durably; False if it was there. Raises `EnvelopeRejected`, `StoreUnavailable`."""
        # Not by the clock, which may be set back while WeCom waits.
        give_up_at = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        settings = self._opening.settings(app)
        if settings.check_sender:
            await self._senders.check(self._apps[app], sender)
        event, message = await self._opening.open(app, signed, body)
        kind = SHARE_EVENTS.get(event.event_type)
        is_new = await self._write(settings, event, message, kind, give_up_at)
        if kind and not is_new:
            # Two changes of one second look the same (wecom-api C1, C4): a repeat may be another change.
            self._renewal.schedule(self._apps[app], kind, event.receive_time)
        return is_new

    async def _write(
        self,
        settings: CallbackSettings,
        event: Event,
        message: Message,
        kind: ShareKind | None,
        give_up_at: float,
    ) -> bool:
        # Who reads the store's keys must not be able to guess what was said.
        key = hmac.new(settings.keys.aes_key, delivery_key(message).encode(), hashlib.sha256).hexdigest()
        # Inside the bounds a caught delivery could come again, from the earliest to the latest timestamp.
        once_in = max(2 * (settings.max_age or timedelta(0)), REMEMBERED)
        notify = [topic(event.app)]
        if kind and kind in self._apps[event.app].share_kinds:
            notify.append(ShareList.name_of(event.app, kind))
        while True:
            try:
                place = await self._log.append(
                    to_entry(event), key=key, once_in=once_in, keep=self._keep, notify=notify
                )
            except StoreUnavailable:
                if asyncio.get_running_loop().time() >= give_up_at:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return bool(place)
