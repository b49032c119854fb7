"""What stands around `WecomClient` in a broker, writing down what it is told; a WeCom that says anything."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from broker.adapters.wecom.client import WecomClient, connect_wecom
from broker.adapters.wecom.egress import Egress
from broker.adapters.wecom.shares import ShareEndpoints
from broker.adapters.wecom.tokens import TokenEndpoints
from broker.domain.apps import App, AppKind
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey, Grant
from broker.domain.errors import BrokerError
from broker.domain.ports.rate_gate import CallScope
from broker.domain.ports.tracer import NO_TRACER, Tracer
from broker.domain.secret import Secret
from broker.domain.shares import AppShare, ListedShares
from broker.simulator import demo
from tests.kit.memory.fake_clock import FixedRandomness

GETTOKEN = "/cgi-bin/gettoken"
LIST_SHARES = "/cgi-bin/corpgroup/corp/list_app_share_info"
CHILD_TOKEN = "/cgi-bin/corpgroup/corp/gettoken"
PARENT_CORP, PARENT_AGENT = demo.PARENT
CHILD_CORP, CHILD_AGENT = "ww1child000000001", 1000010
SUPPLIER_CORP, SUPPLIER_AGENT = "wpSupplier_000000001", 1000020
SECRET = Secret(demo.SECRET)
PATIENT = timedelta(seconds=30)
HASTY = timedelta(seconds=0.1)


@dataclass
class Gate:
    """Open, or closed by an error."""

    told: list[tuple[str, str, str, BrokerError | None]] = field(default_factory=list)
    closed: BrokerError | None = None

    async def before(self, scope: CallScope) -> None:
        self.told.append(("enter", scope.endpoint, scope.corp_id, None))
        if self.closed:
            raise self.closed

    async def after(self, scope: CallScope, error: BrokerError | None) -> None:
        self.told.append(("leave", scope.endpoint, scope.corp_id, error))


@dataclass
class Observer:
    """Hears of the calls; the other events are none of this adapter's."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    durations: list[timedelta] = field(default_factory=list)
    of_callers: int = 0
    """How many were called as a caller said."""

    def upstream_called(
        self, endpoint: str, outcome: str, duration: timedelta, *, of_caller: bool = False, problem: str = ""
    ) -> None:
        self.of_callers += of_caller
        self.calls.append((endpoint, outcome))
        self.durations.append(duration)

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, outcome in self.calls]

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is none of this adapter's events")


@dataclass
class Clock:
    """Sleeps no time at all."""

    slept: list[timedelta] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    def seconds(self) -> float:
        return self.now().timestamp()

    async def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration)


@dataclass(frozen=True)
class Wecom:
    """The endpoints under test, over one client."""

    client: WecomClient

    async def fetch_app_token(self, app: App) -> Grant:
        return await TokenEndpoints(self.client).fetch_app_token(app)

    async def fetch_child_token(
        self, parent: Credential, corp_id: str, agent_id: int, share_kind: ShareKind
    ) -> Grant:
        return await TokenEndpoints(self.client).fetch_child_token(parent, corp_id, agent_id, share_kind)

    async def list_shares(self, parent: Credential, share_kind: ShareKind) -> ListedShares:
        return await ShareEndpoints(self.client).list_app_shares(parent, share_kind)

    async def list_app_shares(self, parent: Credential, share_kind: ShareKind) -> list[AppShare]:
        return list((await self.list_shares(parent, share_kind)).shares)


@dataclass
class Surroundings:
    """All of them."""

    gate: Gate = field(default_factory=Gate)
    observer: Observer = field(default_factory=Observer)
    clock: Clock = field(default_factory=Clock)
    times: list[float] = field(default_factory=list)
    """What time WeCom's answers bore, in seconds since 1970."""

    @asynccontextmanager
    async def wecom(
        self,
        base: str,
        limit: timedelta = PATIENT,
        egress: Egress | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> AsyncIterator[Wecom]:
        """Return the adapter under test."""
        async with connect_wecom(
            base=base,
            longest=limit,
            egress=egress or Egress(),
            gate=self.gate,
            clock=self.clock,
            randomness=FixedRandomness(),
            observer=self.observer,
            on_time=self.times.append,
            tracer=tracer,
        ) as client:
            yield Wecom(client)


def app(secret: Secret = SECRET, corp_id: str = PARENT_CORP) -> App:
    """Return the app whose token is fetched."""
    return App("crm", AppKind.SELF_BUILT, corp_id, PARENT_AGENT, secret)


def parent_with(value: str) -> Credential:
    """Return the parent's token as the engine would hold it."""
    now = datetime(2026, 3, 2, tzinfo=UTC)
    key = CredentialKey("crm", PARENT_CORP, PARENT_AGENT)
    return Credential(key, Secret(value), 1, 1, now, now + timedelta(hours=2), now)


async def call(wecom: Wecom, parent: Credential, endpoint: str, secret: Secret = SECRET) -> object:
    """Call the endpoint by its method."""
    if endpoint == GETTOKEN:
        return await wecom.fetch_app_token(app(secret))
    if endpoint == LIST_SHARES:
        return await wecom.list_app_shares(parent, ShareKind.CORP_GROUP)
    return await wecom.fetch_child_token(parent, CHILD_CORP, CHILD_AGENT, ShareKind.CORP_GROUP)


@asynccontextmanager
async def answering(
    *answers: Mapping[str, object] | bytes,
) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """Serve these answers in turn, the last one for ever; yields the URL and the bodies that came."""
    asked: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        is_json = request.can_read_body and request.content_type == "application/json"
        asked.append(await request.json() if is_json else dict(request.query))
        given = answers[min(len(asked), len(answers)) - 1]
        return web.Response(body=given) if isinstance(given, bytes) else web.json_response(given)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with serving(application) as url:
        yield url, asked


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    """Serve it at the URL that is yielded."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(data: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve these very bytes to each request; yields the URL and the requests that came."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(data)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
