"""A stream that is cut: its caller is told why, whatever is on its way to it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from wecom_broker.v1 import token_service_pb2 as token_pb
from wecom_broker.v1 import wecom_api_service_pb2 as api_pb

from broker.domain.access import Action, Caller, Rule
from broker.domain.caller_policy import CallerPolicy
from broker.server.grpc.entry import open_streams
from broker.server.grpc.entry.rights import Of, Rights, requires
from broker.server.grpc.entry.subjects import Subjects
from broker.telemetry.metrics import Metrics
from tests.kit.memory.fake_clock import FakeClock
from tests.kit.processes.certificates import Authority
from tests.unit.server.entry.guarding import guard_of
from tests.unit.server.fakes import Context, bearer, error_info

CRM = Subjects({"crm": "ww0parent"})
ALLOWED = Caller(
    "orders",
    token_sha256=hashlib.sha256(b"orders").hexdigest(),
    rules=(Rule(("crm",), ("ww1",), frozenset({Action.TOKEN_GET, Action.API_CALL}), ("*",)),),
)
REVOKED = Caller("orders", token_sha256=ALLOWED.token_sha256)


@dataclass
class Slow(Context):
    """A context whose messages are on their way until `arrive` is set."""

    arrive: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, message: object) -> None:
        self.wrote.set()
        await self.arrive.wait()
        self.written.append(message)


def slow() -> Slow:
    return Slow(bearer("orders").metadata)


async def many(_request: object, _context: object) -> AsyncIterator[int]:
    for number in range(3):
        yield number


async def opened(
    policy: CallerPolicy, context: Context, answers: Any = many, clock: FakeClock | None = None
) -> "asyncio.Task[Any]":
    """Return a stream whose first message is on its way."""
    declared = requires(Action.TOKEN_GET)(answers)
    guarded: Any = guard_of(policy, CRM, Metrics(), clock=clock).guard(
        "/Watch", grpc.unary_stream_rpc_method_handler(declared)
    )
    request = token_pb.WatchAccessTokenRequest()
    request.target.app, request.target.corp_id = "crm", "ww1"
    stream = asyncio.ensure_future(guarded.unary_stream(request, context))
    await context.wrote.wait()
    return stream


async def test_the_refusal_follows_the_first_message_for_grpc_sends_none_beside_it() -> None:
    policy, context = CallerPolicy((ALLOWED,)), slow()
    stream = await opened(policy, context)
    policy.replace((REVOKED,))
    await asyncio.sleep(0)
    assert context.aborted is None

    context.arrive.set()
    with pytest.raises(grpc.aio.AbortError):
        await stream
    assert ([0], "CALLER_NOT_ALLOWED") == (context.written, error_info(context.rich).reason)


@pytest.mark.slow
async def test_a_first_message_that_a_client_does_not_take_delays_the_end_by_little() -> None:
    policy, context = CallerPolicy((ALLOWED,)), slow()
    stream = await opened(policy, context)
    policy.replace((REVOKED,))

    with pytest.raises(grpc.aio.AbortError):
        await stream
    assert ([], "CALLER_NOT_ALLOWED") == (context.written, error_info(context.rich).reason)


@pytest.mark.slow
async def test_a_caller_who_leaves_ends_the_call() -> None:
    context = slow()
    stream = await opened(CallerPolicy((ALLOWED,)), context)
    stream.cancel()

    with pytest.raises(asyncio.CancelledError):
        await stream
    assert context.aborted is None


async def test_an_upload_ends_when_its_caller_loses_the_right() -> None:
    policy, context = CallerPolicy((ALLOWED,)), bearer("orders")
    rights, began, ended = Rights(policy, CRM), asyncio.Event(), []

    async def upload(pieces: AsyncIterator[api_pb.UploadMediaRequest], _context: object) -> str:
        first = await anext(aiter(pieces))
        rights.grant(first.target.app, first.target.corp_id, "/cgi-bin/media/upload")
        began.set()
        try:
            return str([piece async for piece in pieces])
        finally:
            ended.append(True)

    async def pieces() -> AsyncIterator[api_pb.UploadMediaRequest]:
        request = api_pb.UploadMediaRequest()
        request.target.app, request.target.corp_id = "crm", "ww1"
        yield request
        await asyncio.Event().wait()

    declared = requires(Action.API_CALL, of=Of.HANDLER)(upload)
    guarded: Any = guard_of(policy, CRM, Metrics()).guard(
        "/Up", grpc.stream_unary_rpc_method_handler(declared)
    )
    call = asyncio.ensure_future(guarded.stream_unary(pieces(), context))
    await began.wait()
    policy.replace((ALLOWED, REVOKED))

    with pytest.raises(grpc.aio.AbortError):
        await call
    assert ("CALLER_NOT_ALLOWED", [True]) == (error_info(context.rich).reason, ended)


LASTS = timedelta(hours=1)
WITHIN_SECONDS = 10.0


def with_certificate() -> Context:
    """Return the context of a caller whose certificate is good for LASTS."""
    pair = Authority().sign(uri="spiffe://example.org/orders", lasts=LASTS)
    return Context(auth={"x509_pem_cert": [pair.certificate]})


async def endless(_request: object, _context: object) -> AsyncIterator[int]:
    yield 0
    await asyncio.Event().wait()


async def test_a_stream_ends_with_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_streams, "LONGEST_REST_SECONDS", 0.01)
    policy = CallerPolicy((replace(ALLOWED, identity="spiffe://example.org/orders"),))
    certified, with_token_too, by_token = with_certificate(), with_certificate(), bearer("orders")
    with_token_too.metadata = by_token.metadata
    clock = FakeClock(datetime.now(UTC))
    streams = [
        await opened(policy, context, endless, clock) for context in (certified, with_token_too, by_token)
    ]
    await clock.advance(LASTS - timedelta(minutes=1))
    await asyncio.sleep(5 * open_streams.LONGEST_REST_SECONDS)
    assert not any(stream.done() for stream in streams)

    await clock.advance(timedelta(minutes=2))
    with pytest.raises(grpc.aio.AbortError):
        await asyncio.wait_for(streams[0], WITHIN_SECONDS)

    assert ("UNAUTHENTICATED", True) == (
        error_info(certified.rich).reason,
        "the client certificate expired at" in certified.rich.message,
    )
    await asyncio.sleep(5 * open_streams.LONGEST_REST_SECONDS)
    assert [True, False, False] == [stream.done() for stream in streams], "a token goes on being a proof"
    for stream in streams[1:]:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
