"""No span holds a secret, whatever callers, callbacks, WeCom and the configuration bring along.

What is planted is what `tests/integration/secrecy` plants, and a service does much of what it does there, at
a broker in this process. What is searched is each span as it would be exported, and as text.
"""

import asyncio
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import aiohttp
import grpc.aio
import pytest
from opentelemetry.trace import Link, SpanContext, StatusCode
from wecom_broker import Broker

from broker.app.running_broker import running_broker
from broker.config.load import parse_config
from broker.simulator import Errcode, HttpStatus, Reset, World
from broker.simulator.server import running_simulator
from broker.simulator.world.faults import Fault
from tests.integration.conftest import Figures
from tests.integration.secrecy.configured import configured, needles_of
from tests.integration.secrecy.made_by_wecom import NAMES, Noted
from tests.integration.secrecy.planted import NO_SECRET_TYPE, SECRET_KEYS, Planted
from tests.integration.secrecy.service import BEARER, ENDPOINTS, Service
from tests.integration.suites.three_kinds import (
    CRM,
    MARKET,
    TAILORED,
    Kinds,
    call_back,
    installed,
    three_kinds_world,
)
from tests.kit.every_rpc import methods
from tests.kit.http_proxy import proxy
from tests.kit.secrecy import forms, leaks
from tests.kit.spans import Spans

NOT_HERE = {"store.password", "store.sentinel_password", "store.url", "server.tls.private_key"}
"""Of Redis and TLS, which this broker does not have."""
CARRIED = "a-secret-in-a-header"
FAULTS: list[Fault] = [HttpStatus(502), Reset(), Errcode(40014), Errcode(40001)]
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

pytestmark = pytest.mark.slow


@dataclass
class Run:
    """What was secret, and the spans of what was done with it."""

    needles: dict[str, list[bytes]]
    spans: Spans
    everything: bytes


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Let a service do all it can."""
    return asyncio.run(_run(tmp_path_factory.mktemp("planted")))


async def _run(folder: Path) -> Run:
    world, noted, spans = three_kinds_world(), Noted(), Spans()
    world.randomness._source = noted
    planted = Planted(folder / "planted")
    async with running_simulator(world) as url, proxy() as forward:
        config = planted.plant(configured(url, f"sqlite:///{folder}/broker.db", forward.port))
        with pytest.MonkeyPatch.context() as environment:
            for name, value in planted.variables.items():
                environment.setenv(name, value)
            parsed = parse_config(config)
        async with running_broker(parsed, tracer=spans.tracer) as broker:
            service = await _serve(world, url, broker.grpc_addresses[0], broker.http_port, spans)
    made = [value for value in noted.made if len(value) in NAMES]
    needles = {**{key: list(found) for key, found in planted.needles.items()}, **needles_of(made)}
    texts = [*service.planted, CARRIED]
    needles["text that a caller sent"] = [form for text in texts for form in forms(text)]
    return Run(needles, spans, spans.everything())


async def _serve(world: World, url: str, address: str, http_port: int, spans: Spans) -> Service:
    call_back(world, f"http://127.0.0.1:{http_port}/callback")
    for suite in (MARKET, TAILORED):
        world.console.tickets.push(suite)
    await world.callbacks.outbox.settled()
    kinds = Kinds(world, url, address)
    async with (
        Broker(address, token=BEARER, tracing=True) as patient,
        Broker(address, token=BEARER, tracing=True, timeout=0.8) as broker,
        grpc.aio.insecure_channel(address) as channel,
    ):
        service = Service(kinds, patient, broker, channel, http_port)
        with spans.span_of_caller():
            await installed(kinds, patient)
            await service.work()
            await service.fail()
            for endpoint, fault in zip(ENDPOINTS, cycle(FAULTS), strict=False):
                world.faults.add(endpoint, fault, times=2)
            await service.fail()
            world.faults.clear()
        carried = [("cookie", CARRIED), ("baggage", f"key={CARRIED}"), ("traceparent", TRACEPARENT)]
        await service.call_everything(carried, patience=0.1)
        await service.be_called_back()
        await _strange_callback(http_port)
    return service


async def _strange_callback(http_port: int) -> None:
    headers = {
        "traceparent": TRACEPARENT,
        **dict.fromkeys(("authorization", "cookie", "user-agent"), CARRIED),
        **dict.fromkeys(("tracestate", "baggage"), f"key={CARRIED}"),
    }
    query = dict.fromkeys(("msg_signature", "timestamp", "nonce", "echostr", "code"), CARRIED)
    async with aiohttp.ClientSession(headers=headers) as session:
        for app in (CRM, CARRIED):
            for method in ("GET", "POST"):
                url = f"http://127.0.0.1:{http_port}/callback/{app}"
                async with session.request(method, url, params=query, data=CARRIED) as answer:
                    assert answer.status in {400, 403, 404}


@pytest.mark.parametrize(
    "kind",
    [
        *sorted((SECRET_KEYS | NO_SECRET_TYPE) - NOT_HERE),
        "text that a caller sent",
        "what a callback says",
        *NAMES.values(),
    ],
)
def test_no_span_holds_a(run: Run, figures: Figures, kind: str) -> None:
    assert run.needles[kind]
    assert set() == leaks({kind: run.needles[kind]}, {"spans": run.everything})
    figures(looked_for=len(run.needles[kind]), spans=len(list(run.spans)), bytes=len(run.everything))


def test_there_was_something_to_find(run: Run) -> None:
    names = {span.name for span in run.spans}
    said = [dict(span.attributes or {}) for span in run.spans]

    assert {f"{rpc.containing_service.full_name}/{rpc.name}" for rpc in methods()} <= names
    assert {"GET /callback/{app}", "POST /callback/{app}", "store append"} <= names
    assert {f"POST {path}" for path in ENDPOINTS if "token" in path and path != "/cgi-bin/gettoken"} <= names
    outcomes = {each.get("wecom_broker.outcome") for each in said}
    assert {
        "0",
        "40014",
        "40001",
        "http_502",
        "connection",
        "accepted",
        "signature",
        "unknown_app",
    } <= outcomes
    reasons = {each.get("wecom_broker.reason") for each in said}
    assert {"UNAUTHENTICATED", "INVALID_REQUEST", "CODE_REJECTED", "WECOM_UNAVAILABLE"} <= reasons
    for name in (CRM, MARKET, TAILORED):
        assert name in {each.get("wecom_broker.app") for each in said}, "names are no secret"


@pytest.mark.parametrize("place", ["name", "attribute", "event", "status", "link"])
def test_a_secret_is_found_wherever_it_is_in_a_span(place: str) -> None:
    spans, secret = Spans(), "a-secret-that-leaks"
    said = {place: secret}
    linked = Link(SpanContext(1, 2, is_remote=True), said)
    name, links = (secret, []) if place == "name" else ("work", [linked] if place == "link" else [])
    span = spans.provider.get_tracer("test").start_span(name, links=links)
    if place == "attribute":
        span.set_attribute(place, secret)
    if place == "event":
        span.record_exception(ValueError(secret))
    if place == "status":
        span.set_status(StatusCode.ERROR, secret)
    span.end()

    assert {("secret", "spans")} == leaks({"secret": forms(secret)}, {"spans": spans.everything()})
