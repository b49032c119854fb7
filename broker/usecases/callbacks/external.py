"""Callbacks of services that keep a URL of their own: the same rules, and nothing is kept."""

import secrets

from broker.domain.apps import App
from broker.domain.errors import AppNotShared, InvalidRequest
from broker.domain.events import SHARE_EVENTS, Event
from broker.domain.ports.clock import Clock
from broker.protocol.callbacks.envelope import sealed_reply
from broker.usecases.callbacks.decoder import LARGEST_BODY, CallbackDecoder, Signed
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.relisting import Relisting
from broker.usecases.shares.targets import Targets


class ExternalCallbacks:
    """Verify, open and reply for others."""

    def __init__(
        self,
        opening: CallbackDecoder,
        targets: Targets,
        shares: ShareDirectory,
        renewal: Relisting,
        clock: Clock,
    ) -> None:
        self._opening = opening
        self._targets = targets
        self._shares = shares
        self._renewal = renewal
        self._clock = clock

    def verify_url(self, app: str, signed: Signed, echostr: str) -> bytes:
        """Return what WeCom wants to hear when a URL is registered. Raises `EnvelopeRejected`."""
        return self._opening.verify_url(app, signed, echostr)

    async def open(self, app: str, signed: Signed, body: bytes) -> Event:
        """Return the event in an envelope. Raises `EnvelopeRejected`."""
        if not body:
            raise InvalidRequest("body", "is required")
        event, _ = await self._opening.open(app, signed, body)
        if kind := SHARE_EVENTS.get(event.event_type):
            self._renewal.schedule(self._targets.app(app), kind, self._clock.now())
        return event

    async def seal_reply(self, app_name: str, corp_id: str, message: str) -> bytes:
        """Return the body of a passive reply to the corp. Raises `AppNotShared` for one that is not known."""
        settings = self._opening.settings(app_name)
        if not message:
            raise InvalidRequest("message", "is required")
        if len(message) > LARGEST_BODY:
            raise InvalidRequest("message", f"is longer than {LARGEST_BODY} characters")
        app = self._targets.app(app_name)
        if corp_id not in ("", app.corp_id):
            await self._check_known(app, corp_id)
        return sealed_reply(
            settings.keys,
            message.encode(),
            corp_id or app.corp_id,
            timestamp=str(int(self._clock.now().timestamp())),
            nonce=secrets.token_hex(8),
            random=secrets.token_bytes(16),
        )

    async def _check_known(self, app: App, corp_id: str) -> None:
        if not await self._shares.find(app, corp_id, None):
            raise AppNotShared("the app is not shared with this corp", app=app.name, corp_id=corp_id)
