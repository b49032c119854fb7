"""A call to WeCom has a span with its path and errcode, and WeCom gets no word of the trace."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from broker.adapters.wecom.passthrough import Passthrough
from broker.domain.errors import BrokerError
from broker.domain.ports.passthrough import ApiCall
from tests.kit.processes.fleet import GETTOKEN
from tests.kit.spans import Spans
from tests.unit.wecom_http.recorders import Surroundings, app, parent_with

TOKEN = "a-token-of-the-parent"


@asynccontextmanager
async def wecom(heard: list[Mapping[str, str]], errcode: int = 0) -> AsyncIterator[str]:
    """Be a WeCom that keeps the headers of what it gets."""

    async def answer(request: web.Request) -> web.Response:
        heard.append(dict(request.headers))
        return web.json_response({"errcode": errcode, "access_token": TOKEN, "expires_in": 7200})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_wecom_gets_no_traceparent() -> None:
    spans, heard = Spans(), list[Mapping[str, str]]()
    async with wecom(heard) as url, Surroundings().wecom(url, tracer=spans.tracer) as client:
        with spans.span_of_caller() as work:
            await client.fetch_app_token(app())
            call = ApiCall("POST", "/cgi-bin/message/send", (), b"{}")
            await Passthrough(client.client).call(parent_with(TOKEN), call)

    assert 2 == len(heard)
    headers = [f"{name}: {value}".lower() for each in heard for name, value in each.items()]
    assert headers
    assert [] == [header for header in headers if "trace" in header or f"{work.trace_id:032x}" in header]
    assert {"work", f"GET {GETTOKEN}", "POST /cgi-bin/message/send"} == {span.name for span in spans}
    assert b"corpsecret" not in spans.everything()


async def test_of_a_path_that_a_caller_made_up_nothing_is_told() -> None:
    spans = Spans()
    async with wecom([]) as url, Surroundings().wecom(url, tracer=spans.tracer) as client:
        call = ApiCall("POST", "/cgi-bin/made_up/by_a_caller", (), b"{}")
        await Passthrough(client.client).call(parent_with(TOKEN), call)

    assert "POST other" == next(iter(spans)).name
    assert b"made_up" not in spans.everything()


@pytest.mark.parametrize(("errcode", "outcome"), [(40001, "40001"), (87654, "unknown")])
async def test_an_errcode_is_an_error_of_the_span(errcode: int, outcome: str) -> None:
    spans = Spans()
    async with wecom([], errcode) as url, Surroundings().wecom(url, tracer=spans.tracer) as client:
        with pytest.raises(BrokerError):
            await client.fetch_app_token(app())

    told = dict(spans.one(f"GET {GETTOKEN}").attributes or {})
    assert (outcome, outcome, 200) == (
        told["wecom_broker.outcome"],
        told["error.type"],
        told["http.response.status_code"],
    )


async def test_a_call_that_nobody_waits_for_any_more_ends_its_span() -> None:
    spans = Spans()
    with pytest.raises(asyncio.CancelledError), spans.tracer.wecom_call("GET", GETTOKEN):
        raise asyncio.CancelledError

    assert "CancelledError" == dict(spans.one(f"GET {GETTOKEN}").attributes or {})["error.type"]
