"""The callbacks of a provider with two suites, before the HTTP server: what they need is a test's."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from broker.adapters.system import SystemRandomness
from broker.domain.apps import AppKind
from broker.domain.corps import ShareKind
from broker.domain.errors import StoreUnavailable
from broker.domain.events.event import Event
from broker.domain.events.log import Retention
from broker.domain.secret import Secret
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Provider, Suite
from broker.protocol.callbacks.envelope import CallbackKeys
from broker.protocol.callbacks.message import Message
from broker.simulator import crypto
from broker.simulator.callbacks.envelope import Address, sealed_post, verification
from broker.usecases.callbacks.decoder import CallbackDecoder, Signed
from broker.usecases.callbacks.external import ExternalCallbacks
from broker.usecases.callbacks.inbox import CallbackInbox
from broker.usecases.callbacks.sender_allowlist import SenderAllowlist
from broker.usecases.callbacks.settings import CallbackSettings, ClientCallbacks
from broker.usecases.callbacks.suite_corps import SuiteCorps
from broker.usecases.callbacks.suite_parts import SuiteParts
from broker.usecases.callbacks.urls import CallbackUrls
from tests.kit.callbacks.suite_samples import MARKET_ID, PROVIDER_CORP, TAILORED_ID
from tests.kit.memory.engine_world import CRM, Replica
from tests.kit.memory.fake_suites import FakeAuthorizations

ACME = Provider("acme", PROVIDER_CORP, Secret("acme-secret"))
MARKET = Suite("market", AppKind.THIRD_PARTY, MARKET_ID, Secret("market-secret"), ACME)
TAILORED = Suite(
    "tailored",
    AppKind.CUSTOMIZED,
    TAILORED_ID,
    Secret("tailored-secret"),
    ACME,
    (ShareKind.CORP_GROUP, ShareKind.SUPPLY_CHAIN),
)
CATALOG = Catalog({"crm": CRM}, {"market": MARKET, "tailored": TAILORED}, {"acme": ACME})
REPLY = "<xml><MsgType>text</MsgType><Content>hello</Content></xml>"
CLIENT, OTHER_CLIENT = "wpClientOne", "wpClientTwo"


def settings(letter: str, *, accept_empty: bool = False) -> CallbackSettings:
    """Return settings with keys of their own."""
    keys = CallbackKeys(Secret(f"Token{letter}"), Secret(letter * 43))
    return CallbackSettings(
        keys,
        timedelta(minutes=10),
        accept_child_receive_id=False,
        check_sender=False,
        accept_empty_receive_id=accept_empty,
    )


def anybody(_corp_id: str) -> None:
    """Grant the right to any corp."""


@dataclass
class Events:
    """Writes down what it is told; while the store is away it says so."""

    before: list[tuple[str, Message]] = field(default_factory=list)
    after: list[tuple[str, Event]] = field(default_factory=list)
    is_away: bool = False

    async def before_append(self, suite: Suite, message: Message) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        self.before.append((suite.name, message))

    def after_append(self, suite: Suite, event: Event) -> None:
        self.after.append((suite.name, event))


@dataclass
class Installations:
    """The suites with an open installation."""

    open: set[str] = field(default_factory=set)

    def outstanding(self, suite: str) -> Sequence[object]:
        return [object()] if suite in self.open else []


class SuiteDesk:
    """Posts to a URL as WeCom would, and returns the event."""

    def __init__(
        self,
        replica: Replica,
        *,
        accept_empty: bool = False,
        clients: ClientCallbacks | None = None,
        corps: FakeAuthorizations | None = None,
    ) -> None:
        self.corps, self.installations, self.events = corps or FakeAuthorizations(), Installations(), Events()
        self.clock = replica.clock
        self._replica = replica
        self.settings = {
            "market": settings("A", accept_empty=accept_empty),
            "tailored": settings("B", accept_empty=accept_empty),
            "acme": settings("C", accept_empty=accept_empty),
        }
        self.clients = clients or ClientCallbacks(settings("D"), {CLIENT: settings("E")})
        parts = SuiteParts(self.corps, self.installations, self.events)  # type: ignore[arg-type] - fakes
        self.urls = CallbackUrls(
            CATALOG,
            self.settings,
            {"tailored": self.clients},
            shares=replica.shares,
            relisting=replica.renewal,
            corps={suite.name: SuiteCorps(suite, parts, replica.clock) for suite in (MARKET, TAILORED)},
            clock=replica.clock,
            observer=replica.witness,
        )
        self.decoder = CallbackDecoder(replica.clock, replica.witness)
        self.external = ExternalCallbacks(self.urls, self.decoder, replica.clock, SystemRandomness())

    def inbox(self) -> CallbackInbox:
        """Return an inbox that writes to the replica's store."""
        replica = self._replica
        return CallbackInbox(
            urls=self.urls,
            decoder=self.decoder,
            allowlist=SenderAllowlist(
                replica.engine,
                None,  # type: ignore[arg-type] - no sender is checked here
                replica.clock,
                replica.witness,
                replica.tasks,
            ),
            log=replica.storage.events,
            keep=Retention(timedelta(days=3), 1000),
            clock=replica.clock,
        )

    @property
    def forms(self) -> list[str]:
        """Return what the accepted callbacks were sealed for."""
        return [form for _, form, _ in self._replica.witness.receivers]

    async def post(self, url: str, receive_id: str, xml: str) -> Event:
        """Open a message that is sealed for that receiver."""
        name, _, corp_id = url.partition("/")
        signed, body = self.sealed(url, receive_id, xml)
        event, _ = await self.decoder.open(self.urls.find(name, corp_id), signed, body)
        return event

    async def verify(self, url: str, receive_id: str, plaintext: str = "1616140317555161061") -> bytes:
        """Verify the URL."""
        name, _, corp_id = url.partition("/")
        signed, echostr = self.echo(url, receive_id, plaintext)
        found, _ = await self.decoder.verify_url(self.urls.find(name, corp_id), signed, echostr)
        return found

    def echo(self, url: str, receive_id: str, plaintext: str = "1616140317555161061") -> tuple[Signed, str]:
        """Return what WeCom would ask of that URL to verify it."""
        name, _, corp_id = url.partition("/")
        query = verification(
            _wecoms(self.urls.find(name, corp_id).settings),
            plaintext,
            receive_id,
            timestamp=self._now(),
            nonce="1",
            random=_random(),
        )
        echostr = query.pop("echostr")
        return Signed(**query), echostr

    def sealed(self, url: str, receive_id: str, xml: str) -> tuple[Signed, bytes]:
        """Return what WeCom would post to that URL."""
        name, _, corp_id = url.partition("/")
        keys = _wecoms(self.urls.find(name, corp_id).settings)
        post = sealed_post(
            keys,
            xml.encode(),
            Address(receive_id, receive_id),
            timestamp=self._now(),
            nonce="1",
            random=_random(),
        )
        return Signed(**post.query), post.body

    def _now(self) -> str:
        return str(int(self.clock.now().timestamp()))


def _wecoms(found: CallbackSettings) -> crypto.CallbackKeys:
    return crypto.CallbackKeys(found.keys.token.reveal(), found.keys.encoding_aes_key.reveal())


def _random() -> bytes:
    return time.time_ns().to_bytes(16)
