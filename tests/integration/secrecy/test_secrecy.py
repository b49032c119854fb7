"""Of all that suites and providers have secret, nothing is in plain text but on the wire and in memory."""

import asyncio
import base64
import hashlib
import json
import os
import random
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import grpc.aio
import pytest
from wecom_broker import Broker, Event, errors
from wecom_broker.v1 import admin_service_pb2 as admin_pb
from wecom_broker.v1.admin_service_pb2_grpc import AdminServiceStub

from broker.domain.access import Action
from broker.simulator import Errcode, EventKind, HttpStatus, Junk, Reset, Truncated, World, provider_demo
from broker.simulator.callbacks.suite_sender import send_system_event
from broker.simulator.demo import CALLBACK_KEYS, SECRET
from broker.simulator.provider_demo import PARENT, child
from broker.simulator.server import running_simulator
from broker.simulator.world.faults import Fault
from broker.simulator.world.tokens import AppToken, ProviderToken, SuiteToken
from tests.integration.conftest import Figures
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
    call_back,
    installed,
    tables,
    three_kinds_world,
)
from tests.kit.every_rpc import call_every_rpc, methods, reflected, told
from tests.kit.processes.broker_process import BrokerProcess
from tests.kit.processes.fleet import SEAL_KEY
from tests.kit.processes.left_behind import Monitor, left_behind
from tests.kit.processes.redis_server import RedisServer
from tests.kit.secrecy import forms, leaks

BEARER, STRANGE = "the-bearer-token-of-the-service", "a-bearer-token-that-nobody-has"
METADATA = (("authorization", f"Bearer {BEARER}"),)
VARIABLES = {"CRM_SECRET": SECRET, "MARKET_SECRET": provider_demo.MARKET_SECRET, "SEAL_KEY": SEAL_KEY}
"""Secrets that come from the environment."""
PAGE = "https://app.example.com/"
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
NAMES = {160: "token", 64: "ticket or auth_code", 32: "permanent code, login code", 16: "session key"}
"""What WeCom makes of so many random bytes."""

pytestmark = pytest.mark.slow


class Noted(random.SystemRandom):
    """Note everything that WeCom makes."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[bytes] = []

    def randbytes(self, n: int) -> bytes:
        """Return random bytes."""
        made = super().randbytes(n)
        self.made.append(made)
        return made


@dataclass
class Run:
    """What services did, what was secret in it, and where it might be found."""

    needles: dict[str, list[bytes]]
    haystacks: Mapping[str, bytes]
    logs: list[str]
    answers: int


@dataclass
class Service:
    """A service that uses all kinds of apps, and keeps what it is told."""

    kinds: Kinds
    broker: Broker
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
            seen = await use(self.broker, case.place(self.kinds), Simulated(self.kinds, case))
            assert 0 == seen.healed
            self.answers += 1
        for name in (MARKET, TAILORED, ACME):
            await self.broker.access_token(name)

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

    async def call_everything(self) -> None:
        """Call each rpc for each app, with a secret in each text that a caller can send."""

        def plant(field: str) -> str:
            self.planted.append(token_hex(20))
            assert field
            return self.planted[-1]

        stranger = [("authorization", f"Bearer {STRANGE}")]
        async with grpc.aio.insecure_channel(self.kinds.address) as channel:
            for app in (CRM, MARKET, TAILORED):
                async for line in call_every_rpc(channel, app, plant, METADATA):
                    self.told.append(line)
            # Whoever is not known is refused, whatever he sends.
            async for line in call_every_rpc(channel, CRM, plant, stranger):
                assert "UNAUTHENTICATED" in line
                self.told.append(line)

    async def look(self) -> list[Event]:
        """Ask for everything that an operator sees; return the events that subscribers get."""
        admin: Any = AdminServiceStub(self.broker.channel)
        for rpc, request in (
            ("ListApps", admin_pb.ListAppsRequest()),
            ("ListCredentials", admin_pb.ListCredentialsRequest(page_size=1000)),
            ("GetQuotas", admin_pb.GetQuotasRequest()),
            ("GetStatus", admin_pb.GetStatusRequest()),
        ):
            self.told.append(str(await getattr(admin, rpc)(request, metadata=METADATA, timeout=20)))
        for suite in (MARKET, TAILORED):
            self.told += [repr(known) async for known in self.broker.authorizations(suite)]
        events: list[Event] = []
        stream = self.broker.events("all", apps=[CRM, MARKET, TAILORED, ACME], max_in_flight=1000)
        with suppress(TimeoutError):
            async with stream, asyncio.timeout(3):
                async for event in stream:
                    events.append(event)  # noqa: PERF401 - what came before the end of the time counts
        return events


@pytest.fixture(scope="module", params=["redis", "sqlite"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Let two replicas on Redis, or a broker on SQLite, do all they can for suites."""
    folder = tmp_path_factory.mktemp("suite-secrecy")
    (folder / "store").mkdir()
    with ExitStack() as stack:
        if request.param == "sqlite":
            return asyncio.run(_run(folder, f"sqlite:///{folder}/store/broker.db", 1, None, None))
        redis = stack.enter_context(RedisServer(folder / "redis", append_only=True))
        monitor = Monitor(redis.port)
        monitor.start()
        return asyncio.run(_run(folder, redis.url, 2, redis, monitor))


async def _run(
    folder: Path, store: str, replicas: int, redis: RedisServer | None, monitor: Monitor | None
) -> Run:
    world, noted = three_kinds_world(), Noted()
    world.randomness._source = noted
    async with running_simulator(world) as url:
        with ExitStack() as stack:
            config = _config(url, store, folder / "audit.log")
            brokers = [
                BrokerProcess(folder / f"broker-{number}", config, variables=VARIABLES)
                for number in range(replicas)
            ]
            for broker in brokers:
                stack.push(broker.__exit__)
                broker.launch()
            await asyncio.gather(*(asyncio.to_thread(broker.await_ready) for broker in brokers))
            permanent_codes: set[str] = set()
            services, events, reflection = [], [], b""
            async for service in _serve(world, url, brokers):
                services.append(service)
                permanent_codes |= _permanent_codes(world)
                await service.call_everything()
                events += await service.look()
                reflection += await reflected(service.broker.channel, METADATA)
            all_told = [line for service in services for line in service.told]
            haystacks = {
                **left_behind(folder, brokers, redis, monitor),
                "what callers were told": "\n".join(all_told).encode(),
                "what reflection says": reflection,
                "events": "\n".join(f"{event.fields} {event.xml}" for event in events).encode(),
                "how callbacks were answered": "\n".join(
                    str(attempt) for each in world.callbacks.outbox.deliveries for attempt in each.attempts
                ).encode(),
            }
            for broker in brokers:
                await asyncio.to_thread(broker.stop)
                haystacks[f"{broker.log} at the end"] = broker.log.read_bytes()
            haystacks["the audit trail at the end"] = (folder / "audit.log").read_bytes()
    made = [value for value in noted.made if len(value) in NAMES]
    needles = _needles(made)
    needles["text that a caller sent"] = [
        form for service in services for text in service.planted for form in forms(text)
    ]
    _check_that_all_kinds_are_among_them(world, permanent_codes, made)
    lines = [line for broker in brokers for line in broker.log.read_text().splitlines()]
    return Run(needles, haystacks, lines, sum(service.answers for service in services))


async def _serve(world: World, url: str, brokers: list[BrokerProcess]) -> AsyncIterator[Service]:
    """Let a service at each broker work, first without faults and then with all of them."""
    call_back(world, f"http://127.0.0.1:{brokers[0].http_port}/callback")
    for suite in (MARKET, TAILORED):
        world.console.tickets.push(suite)
    await world.callbacks.outbox.settled()
    for number, process in enumerate(brokers):
        kinds = Kinds(world, url, process.address)
        async with Broker(process.address, token=BEARER, timeout=4) as broker:
            service = Service(kinds, broker)
            if number == 0:
                await installed(kinds, broker)
                await service.work()
            await service.fail()
            for fault in FAULTS:
                for endpoint in ENDPOINTS:
                    world.faults.add(endpoint, fault, times=2)
                await service.fail()
                world.faults.clear()
            for suite in (MARKET, TAILORED):
                world.console.tickets.push(suite)
            await send_system_event(world, ACME, EventKind.REGISTER_CORP, child(2))
            await world.callbacks.outbox.settled()
            yield service
    world.console.reset(TAILORED, PARENT)
    await world.callbacks.outbox.settled()
    world.console.cancel(MARKET, PARENT)
    await world.callbacks.outbox.settled()


def _config(wecom_url: str, store_url: str, audit: Path) -> dict[str, Any]:
    everything = {
        "name": "service",
        "token_sha256": hashlib.sha256(BEARER.encode()).hexdigest(),
        "allow": [{"apps": ["*"], "corps": ["*"], "paths": ["*"], "actions": ACTIONS}],
        "limits": {"forced_per_minute": 1000},
    }
    config = tables(
        wecom_url,
        store_url,
        wecom={"timeout_seconds": 1},
        refresh={"cooldown_seconds": 0.01},
        callers=[everything],
    )
    # Each process has ports of its own.
    config["server"] = {"reflection": True}
    config["audit"] = {"file": str(audit)}
    config["store"]["seal_keys"][0]["key"] = {"env": "SEAL_KEY"}
    config["apps"][0]["secret"] = {"env": "CRM_SECRET"}
    config["apps"][1]["suite_secret"] = {"env": "MARKET_SECRET"}
    return config


ACTIONS = [str(action) for action in Action]


def _permanent_codes(world: World) -> set[str]:
    corps = [(suite, corp) for suite in (MARKET, TAILORED) for corp in (PARENT, child(1), child(2), child(3))]
    found = set()
    for suite, corp in corps:
        with suppress(LookupError):
            found.add(world.suites.authorization(suite, corp).permanent_code)
    return found


def _check_that_all_kinds_are_among_them(world: World, permanent_codes: set[str], made: list[bytes]) -> None:
    """Fail if a secret of WeCom's is not among what it made of random bytes."""
    values = {_text(value) for value in made} | {base64.b64encode(value).decode() for value in made}
    kinds = {
        "tokens": {
            value for kind in (AppToken, SuiteToken, ProviderToken) for value in world.books[kind]._by_value
        },
        "suite_tickets": {
            ticket.value for suite in world.suites for ticket in world.suites.tickets._tickets[suite.suite_id]
        },
        "auth_codes": set(world.suites.codes._auth),
        "permanent codes": permanent_codes,
        "session keys": set(world.logins._sessions),
        "user_tickets": set(world.logins._tickets),
    }
    for kind, secrets in kinds.items():
        assert len(secrets) > 2, kind
        assert secrets <= values, kind


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _needles(made: list[bytes]) -> dict[str, list[bytes]]:
    needles: dict[str, list[bytes]] = {
        "secret": [
            form
            for secret in (
                SECRET,
                provider_demo.PROVIDER_SECRET,
                provider_demo.MARKET_SECRET,
                provider_demo.TAILORED_SECRET,
                SEAL_KEY,
                BEARER,
                STRANGE,
            )
            for form in forms(secret)
        ],
        "callback key": [
            form
            for keys in (CALLBACK_KEYS, *provider_demo.CALLBACK_KEYS.values())
            for part in (keys.token, keys.encoding_aes_key)
            for form in forms(part)
        ],
    }
    for size, name in NAMES.items():
        needles[name] = [
            form for value in made if len(value) == size for form in forms(value) | forms(_text(value))
        ]
    return needles


@pytest.mark.parametrize("kind", ["secret", "callback key", "text that a caller sent", *NAMES.values()])
def test_no_store_log_metric_command_line_event_or_error_holds_in_plain_text_a(
    run: Run, figures: Figures, kind: str
) -> None:
    assert set() == leaks({kind: run.needles[kind]}, run.haystacks)
    figures(
        looked_for=len(run.needles[kind]),
        in_places=len(run.haystacks),
        bytes=sum(map(len, run.haystacks.values())),
    )


def test_every_rpc_was_called(run: Run) -> None:
    figures = b"\n".join(run.haystacks.values()).decode(errors="replace")

    assert {rpc.name for rpc in methods()} <= set(
        re.findall(r'wecom_broker_requests_total\{code="\w+",rpc="(\w+)"', figures)
    )


def test_another_user_of_the_machine_sees_that_it_runs_and_no_more(run: Run) -> None:
    views = [hay for place, hay in run.haystacks.items() if "another user" in place]

    assert views
    assert all(b"broker.toml" in view for view in views)
    if os.geteuid() == 0:
        assert all(b"environ: Permission denied" in view for view in views)


def test_there_was_something_to_find(run: Run) -> None:
    assert [] == [place for place, hay in run.haystacks.items() if not hay and ".lock" not in place]
    assert run.answers > 50
    for kind, needles in run.needles.items():
        assert len(needles) > 5, kind
    everything = b"\n".join(run.haystacks.values())
    for name in (b"suite_token:market", b"provider_token:acme", b"authorization:tailored:", b"session:"):
        assert name in everything, "names are no secret"
    for event in (b"suite_ticket", b"create_auth", b"register_corp", b"enter_agent"):
        assert event in run.haystacks["events"], event
    for outcome in (b'"40014"', b'"-1"', b'"http_502"', b'"protocol"', b'"connection"'):
        assert outcome in everything, outcome


def test_every_line_of_the_log_is_json_and_none_is_a_stack_trace(run: Run) -> None:
    assert [] == [line for line in run.logs if not line.startswith("{") or "Traceback" in line]
    assert [] == [line for line in run.logs if json.loads(line)["event"] == "unexpected error"]
