"""What spans say of requests, whose children they are, and what a stranger can make of them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode
from wecom_broker import Broker
from wecom_broker.sync import Broker as SyncBroker

from broker.domain.access import Action
from broker.simulator import HttpStatus
from broker.simulator.demo import PARENT, SECRET, demo_world
from tests.integration.tracing.asking import ask
from tests.kit.broker_here import BrokerHere, broker_here
from tests.kit.callbacks.endpoint import CALLBACK, text
from tests.kit.callbacks.sender import CallbackSender
from tests.kit.processes.fleet import APP, GETTOKEN, until
from tests.kit.spans import Spans

GET = "wecom_broker.v1.TokenService/GetAccessToken"
WATCH = "wecom_broker.v1.TokenService/WatchAccessToken"
ORDERS, POOR = "the-token-of-orders", "the-token-of-poor"
TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED, UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-01", f"00-{TRACE}-b7ad6b7169203331-00"


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
async def here(tmp_path: Path, spans: Spans) -> AsyncIterator[BrokerHere]:
    app = {"name": APP, "corp_id": PARENT.corpid, "agent_id": PARENT.agentid, "secret": SECRET}
    allow = [{"apps": ["*"], "corps": ["*"], "actions": [Action.TOKEN_GET]}]
    callers = [
        {"name": name, "token_sha256": hashlib.sha256(token.encode()).hexdigest(), "allow": rules}
        for name, token, rules in (("orders", ORDERS, allow), ("poor", POOR, []))
    ]
    apps: Any = [{**app, "callback": CALLBACK}]
    async with broker_here(tmp_path, demo_world(), apps, tracer=spans.tracer, callers=callers) as here:
        spans.forget()
        yield here


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def id_of(span: ReadableSpan) -> int:
    assert span.context
    return span.context.span_id


def traces(spans: Spans) -> set[int]:
    return {span.context.trace_id for span in spans if span.context}


async def test_a_call_of_the_client_goes_on_in_the_broker_its_store_and_its_call_to_wecom(
    here: BrokerHere, spans: Spans
) -> None:
    async with Broker(here.address, token=ORDERS, tracing=True) as broker:
        with spans.span_of_caller() as work:
            await broker.access_token(APP)
    await until(lambda: bool(spans.named("work") and spans.named(WATCH)))
    rpc, wecom = spans.one(WATCH), spans.one(f"GET {GETTOKEN}")

    assert (SpanKind.SERVER, work.span_id) == (rpc.kind, parent_of(rpc))
    assert {work.trace_id} == {span.context.trace_id for span in spans if span.context}
    assert (SpanKind.CLIENT, id_of(rpc)) == (wecom.kind, parent_of(wecom))
    for step in ("load", "acquire", "commit"):
        assert {id_of(rpc)} == {parent_of(span) for span in spans.named(f"store {step}")}, step
    assert {
        "rpc.system": "grpc",
        "rpc.service": "wecom_broker.v1.TokenService",
        "rpc.method": "WatchAccessToken",
        "rpc.grpc.status_code": 1,
        "wecom_broker.caller": "orders",
        "wecom_broker.app": APP,
    } == attributes(rpc)
    assert {
        "http.request.method": "GET",
        "url.template": GETTOKEN,
        "http.response.status_code": 200,
        "wecom.errcode": 0,
        "wecom_broker.outcome": "0",
    } == attributes(wecom)
    assert {StatusCode.UNSET} == {span.status.status_code for span in spans}


async def test_a_client_passes_nothing_on_unless_it_is_asked_to(here: BrokerHere, spans: Spans) -> None:
    async with Broker(here.address, token=ORDERS) as broker:
        with spans.span_of_caller() as work:
            await broker.access_token(APP)
    await until(lambda: bool(spans.named(WATCH)))

    assert spans.one(WATCH).parent is None
    assert work.trace_id not in {span.context.trace_id for span in spans.named(WATCH) if span.context}


async def test_each_thread_passes_on_its_own_trace(here: BrokerHere, spans: Spans) -> None:
    def work() -> int:
        with SyncBroker(here.address, token=ORDERS, tracing=True) as broker, spans.span_of_caller() as own:
            broker.access_token(APP)
        return own.span_id

    caller = await asyncio.to_thread(work)
    await until(lambda: bool(spans.named(WATCH)))

    assert caller == parent_of(spans.one(WATCH))


async def test_a_repeated_call_has_a_span_if_its_caller_samples(here: BrokerHere, spans: Spans) -> None:
    for _ in range(2):
        await ask(here, ORDERS)
    spans.forget()

    await ask(here, ORDERS, traceparent=UNSAMPLED)
    await ask(here, ORDERS, traceparent=SAMPLED)

    [span] = spans
    assert (GET, int(TRACE, 16)) == (span.name, span.context and span.context.trace_id)
    assert (0, "orders", APP) == tuple(
        attributes(span)[name] for name in ("rpc.grpc.status_code", "wecom_broker.caller", "wecom_broker.app")
    )


@pytest.mark.parametrize(
    ("token", "app", "code", "told"),
    [
        ("a-token-of-nobody", APP, 16, {"wecom_broker.reason": "UNAUTHENTICATED"}),
        (POOR, APP, 7, {"wecom_broker.reason": "CALLER_NOT_ALLOWED", "wecom_broker.caller": "poor"}),
        (ORDERS, "made-up", 5, {"wecom_broker.reason": "UNKNOWN_APP", "wecom_broker.caller": "orders"}),
    ],
)
async def test_a_refusal_shows_its_code_and_reason_and_nothing_that_the_caller_made_up(
    here: BrokerHere, spans: Spans, token: str, app: str, code: int, told: dict[str, str]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await ask(here, token, app=app)
    # Its caller may hear of a refusal before the span ends.
    await until(lambda: bool(spans.named(GET)))
    span = spans.one(GET)

    shown = {name: value for name, value in attributes(span).items() if name.startswith("wecom_broker")}
    assert (code, told) == (attributes(span)["rpc.grpc.status_code"], shown)
    # What the caller did wrong is no error of a server (semantic conventions).
    assert (StatusCode.UNSET, None) == (span.status.status_code, span.status.description)
    assert [] == list(span.events)


async def test_a_failure_of_wecom_is_an_error_of_both_spans_without_its_words(
    here: BrokerHere, spans: Spans
) -> None:
    here.world.faults.add(GETTOKEN, HttpStatus(502), times=3)
    with pytest.raises(grpc.aio.AioRpcError):
        await ask(here, ORDERS)
    await until(lambda: bool(spans.named(GET)))
    rpc, calls = spans.one(GET), spans.named(f"GET {GETTOKEN}")

    assert (14, "WECOM_UNAVAILABLE", "UNAVAILABLE", APP) == tuple(
        attributes(rpc)[name]
        for name in ("rpc.grpc.status_code", "wecom_broker.reason", "error.type", "wecom_broker.app")
    )
    assert [(502, "http_502")] * 3 == [
        (attributes(call)["http.response.status_code"], attributes(call)["error.type"]) for call in calls
    ]
    for span in (rpc, *calls):
        assert (StatusCode.ERROR, None, []) == (
            span.status.status_code,
            span.status.description,
            list(span.events),
        )


async def test_a_callback_begins_a_trace_of_its_own_that_is_linked_to_its_senders(
    here: BrokerHere, spans: Spans
) -> None:
    carried = {"traceparent": UNSAMPLED, "tracestate": "vendor=whatever-a-stranger-writes"}
    async with CallbackSender.open(f"{here.http}/callback/{APP}") as sender:
        sender.session.headers.update(carried)
        assert 200 == (await sender.post(text()))[0]
        query, body = sender.envelope(text())
        query["msg_signature"] = "0" * 40
        async with sender.session.post(sender.url, params=query, data=body) as answer:
            assert 403 == answer.status
    accepted, refused = spans.named("POST /callback/{app}")

    assert {
        "http.request.method": "POST",
        "http.route": "/callback/{app}",
        "http.response.status_code": 200,
        "wecom_broker.app": APP,
        "wecom_broker.outcome": "accepted",
    } == attributes(accepted)
    assert (403, "signature") == tuple(
        attributes(refused)[name] for name in ("http.response.status_code", "wecom_broker.outcome")
    )
    assert accepted.parent is refused.parent is None
    assert int(TRACE, 16) not in traces(spans)
    [link] = accepted.links
    assert (int(TRACE, 16), {}) == (link.context.trace_id, dict(link.context.trace_state))
    assert {id_of(accepted)} == {parent_of(span) for span in spans.named("store append")}


async def test_a_strangers_path_is_in_no_span(here: BrokerHere, spans: Spans) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{here.http}/callback/made-up?a=b") as answer,
    ):
        assert 404 == answer.status

    span = spans.one("POST /callback/{app}")
    assert "unknown_app" == attributes(span)["wecom_broker.outcome"]
    assert b"made-up" not in spans.everything()
