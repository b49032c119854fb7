"""A service that uses all kinds of apps at one broker, well and badly, and keeps what it is told."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import grpc.aio
from wecom_broker import Broker, Event, errors
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1.admin_service_pb2_grpc import AdminServiceStub

from broker.simulator import Errcode, HttpStatus, Junk, Reset, Truncated
from broker.simulator.provider_demo import PARENT, child
from broker.simulator.world.faults import Fault
from tests.integration.suites.one_client import use
from tests.integration.suites.three_kinds import (
    ACME,
    BY_TOKEN,
    CASES,
    CRM,
    MARKET,
    TAILORED,
    Kinds,
    Simulated,
)
from tests.kit.callbacks.attacks import MARK, attacks, knock
from tests.kit.callbacks.endpoint import event, text
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.every_rpc import Metadata, call_every_rpc, told

BEARER, STRANGE = "the-bearer-token-of-the-service", "a-bearer-token-that-nobody-has"
METADATA = (("authorization", f"Bearer {BEARER}"),)
PAGE = "https://app.example.com/"
SPEAKER, ECHO = "UserOfTheMessage", "4815162342815"
OWNED_AND_COLD = "ww1child000000005"
SAID = [
    text(OWNED_AND_COLD, FromUserName=SPEAKER, Content=MARK),
    event("enter_agent", OWNED_AND_COLD, FromUserName=SPEAKER, EventKey=MARK),
    text("wwStranger", FromUserName=SPEAKER, Content=MARK),
]
"""Of a child, and of nobody."""
FAULTS: list[Fault] = [
    HttpStatus(502),
    Junk(),
    Reset(),
    Truncated(),
    Errcode(-1),
    Errcode(40014),
    Errcode(40085),
    Errcode(45009),
    Errcode(40001),
]
"""Those that are remembered for long come last."""
ENDPOINTS = [
    f"/cgi-bin/{path}"
    for path in (
        "gettoken",
        "service/get_suite_token",
        "service/get_provider_token",
        "service/get_corp_token",
        "service/get_pre_auth_code",
        "service/v2/get_permanent_code",
        "service/v2/get_auth_info",
        "service/get_auth_info",
        "service/auth/getuserinfo3rd",
        "service/auth/getuserdetail3rd",
        "service/miniprogram/jscode2session",
        "agent/get_permissions",
        "corpgroup/corp/gettoken",
        "corpgroup/corp/list_app_share_info",
    )
]


@dataclass
class Service:
    """A service that uses all kinds of apps, and keeps what it is told."""

    kinds: Kinds
    patient: Broker
    broker: Broker
    """Gives up soon: its calls fail on purpose, and clients repeat what fails."""
    channel: grpc.aio.Channel
    http_port: int
    told: list[str] = field(default_factory=list)
    planted: list[str] = field(default_factory=list)
    """What callers sent that is nobody else's business."""
    answers: int = 0

    async def attempt(self, call: Awaitable[Any]) -> Any:
        """Return the answer; None, and the error noted with all its details, where there is none."""
        try:
            answer = await call
        except errors.BrokerError as error:
            cause = error.__cause__ or error.__context__
            details = told(cause) if isinstance(cause, grpc.aio.AioRpcError) else repr(cause)
            self.told.append(f"{error!r} {error.metadata} {details}")
            return None
        self.answers += 1
        return answer

    async def work(self) -> None:
        """Do all that goes well."""
        for case in CASES.values():
            seen = await use(self.patient, case.place(self.kinds), Simulated(self.kinds, case))
            assert 0 == seen.healed
            self.answers += 1
        for name in (MARKET, TAILORED, ACME):
            await self.patient.access_token(name)

    async def install(self) -> None:
        """Let another corp install market by a link, with a code that is good once."""
        if link := await self.attempt(self.broker.install_url(MARKET, PAGE)):
            code = self.kinds.world.console.install_by_link(link.url, child(3)).auth_code
            for sent in (code, code, code[:-1]):
                await self.attempt(self.broker.complete_installation(MARKET, sent))

    async def fail(self) -> None:
        """Do what cannot go well, or does not while WeCom has faults."""
        world, corp = self.kinds.world, self.kinds.corpid(PARENT)
        await self.install()
        for suite, login_corp in ((MARKET, ""), (TAILORED, corp)):
            for name, target in (
                (suite, corp),
                (suite, ""),
                (ACME, ""),
                (TAILORED, self.kinds.corpid(BY_TOKEN)),
            ):
                held = await self.attempt(self.broker.access_token(name, target))
                if held and world.kill(held.value):
                    await self.attempt(self.broker.rejected(held, 40014))
            await self.attempt(self.broker.refresh_authorization(suite, corp))
            await self.attempt(self.broker.sync_app_shares(suite, parent=corp))
            code = world.people.suite_login_code(suite, PARENT, "zhangsan", privateinfo=True)
            user = await self.attempt(self.broker.user_from_code(suite, code, corp=login_corp))
            for ticket in (user.user_ticket if user else "", "a-ticket-that-nobody-gave"):
                await self.attempt(self.broker.user_profile(suite, ticket, corp=login_corp))
            await self.attempt(self.broker.user_from_code(suite, code, corp=login_corp))
            js_code = world.people.suite_js_code(suite, PARENT, "zhangsan")
            session = await self.attempt(self.broker.mini_program_login(suite, js_code, corp=login_corp))
            if session:
                await self.attempt(self.broker.session_key(session))
                await self.attempt(self.broker.decrypt_data(session, "no base64!", "no iv"))

    async def call_everything(self, carried: Metadata = (), *, patience: float = 0.5) -> None:
        """Call each rpc for each app, with a secret in each text that a caller can send.

        More metadata is `carried` along; a stream may be silent for the seconds of `patience`.
        """

        def plant(field: str) -> str:
            self.planted.append(token_hex(20))
            assert field
            return self.planted[-1]

        async def call_about(app: str) -> None:
            async for line in call_every_rpc(
                self.channel, app, plant, (*METADATA, *carried), patience=patience
            ):
                self.told.append(line)

        stranger = [("authorization", f"Bearer {STRANGE}"), *carried]
        await asyncio.gather(*map(call_about, (CRM, MARKET, TAILORED)))
        # Whoever is not known is refused, whatever he sends.
        async for line in call_every_rpc(self.channel, CRM, plant, stranger):
            assert "UNAUTHENTICATED" in line
            self.told.append(line)

    async def be_called_back(self) -> None:
        """Take callbacks with something to hide, true ones and a stranger's."""
        async with CallbackSender.open(f"http://127.0.0.1:{self.http_port}/callback/{CRM}") as sender:
            for message in SAID:
                assert 200 == (await sender.post(message))[0]
            assert (200, ECHO) == (await sender.verify(ECHO))[:2]
        for attack in attacks():
            answer = (await knock(self.http_port, attack.request)).answer
            self.told.append(repr(answer) if attack.outcome else "")

    async def look(self) -> list[Event]:
        """Ask for everything that an operator sees; return the events that subscribers get."""
        admin: Any = AdminServiceStub(self.patient.channel)
        for rpc, request in (
            ("ListApps", admin_pb.ListAppsRequest()),
            ("ListCredentials", admin_pb.ListCredentialsRequest(page_size=1000)),
            ("GetQuotas", admin_pb.GetQuotasRequest()),
            ("GetStatus", admin_pb.GetStatusRequest()),
        ):
            self.told.append(str(await getattr(admin, rpc)(request, metadata=METADATA, timeout=20)))
        for suite in (MARKET, TAILORED):
            self.told += [repr(known) async for known in self.patient.authorizations(suite)]
        events: list[Event] = []
        stream = self.patient.events("all", apps=[CRM, MARKET, TAILORED, ACME], max_in_flight=1000)
        with suppress(TimeoutError):
            async with stream, asyncio.timeout(3) as limit:
                async for event in stream:
                    events.append(event)
                    limit.reschedule(asyncio.get_running_loop().time() + 1)
        return events
