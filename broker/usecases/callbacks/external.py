"""Callbacks of services that keep a URL of their own: the same rules, and nothing is kept."""

from broker.domain.apps import App
from broker.domain.errors import AppNotShared, InvalidRequest
from broker.domain.events import SHARE_EVENTS, Event
from broker.domain.ports.clock import Clock, Randomness
from broker.protocol.callbacks.envelope import sealed_reply
from broker.usecases.callbacks.decoder import LARGEST_BODY, CallbackDecoder, Signed
from broker.usecases.shares.directory import ShareDirectory
from broker.usecases.shares.relisting import Relisting


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

    async def seal_reply(self, app: str, corp_id: str, message: str) -> bytes:
        """Return the body of a passive reply to the corp. Raises `AppNotShared` for one that is not known."""
        called = self._decoder.app(app)
        if not message:
            raise InvalidRequest("message", "is required")
        if len(message) > LARGEST_BODY:
            raise InvalidRequest("message", f"is longer than {LARGEST_BODY} characters")
        if corp_id not in ("", called.app.corp_id):
            await self._check_known(called.app, corp_id)
        return sealed_reply(
            called.settings.keys,
            message.encode(),
            corp_id or called.app.corp_id,
            timestamp=str(int(self._clock.now().timestamp())),
            nonce=self._randomness.unguessable()[:16],
            random=bytes.fromhex(self._randomness.unguessable()),
        )

    async def _check_known(self, app: App, corp_id: str) -> None:
        if not await self._shares.find(app, corp_id, None):
            raise AppNotShared("the app is not shared with this corp", app=app.name, corp_id=corp_id)
