"""WeCom over HTTPS: pooled, bounded in time and size, and no token in any log or error."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import aiohttp

from broker.adapters.wecom.call import Answer, Call
from broker.adapters.wecom.egress import Egress
from broker.adapters.wecom.exchange import (
    Busy,
    CallOutcome,
    ConnectionLost,
    Exchange,
    told_time,
    why_unreachable,
)
from broker.adapters.wecom.slots import Slots
from broker.domain.errors import BrokerError, RateLimited, WecomUnavailable
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.observer import Observer
from broker.domain.ports.rate_gate import UpstreamGate
from broker.domain.ports.tracer import NO_TRACER, Tracer

CALLS_AT_ONCE = 50
MOST_AT_WILL = 128
"""What callers may ask for as often as they like, at once: no caller gets all of it (`FairPool`)."""
MOST_WAITING = 256
"""How many of those may wait for a slot: where no callers are configured, nobody else bounds them."""
PAUSES = (timedelta(milliseconds=100), timedelta(milliseconds=400))
"""A call that may be repeated is, after each of these, before WeCom counts as unavailable."""
SYSTEM_BUSY = -1
"""The errcode of a busy WeCom; asked again at most three times (wecom-api D)."""

CLOCK_TIMEOUT = aiohttp.ClientTimeout(total=2)
OnTime = Callable[[float], None]


def _unheard(_seconds: float) -> None:
    """Take no notice of WeCom's time."""


class WecomClient:
    """Send calls to WeCom: the broker's own, files, and the calls that callers ask for."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        base: str,
        egress: Egress,
        gate: UpstreamGate,
        clock: Clock,
        randomness: Randomness,
        observer: Observer,
        on_time: OnTime = _unheard,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._session = session
        self._base = base.rstrip("/")
        self._egress = egress
        self._gate = gate
        self._clock = clock
        self._randomness = randomness
        self._observer = observer
        self._on_time = on_time
        self._tracer = tracer
        # What callers ask for at will takes no slot that tokens need; `Passthrough` limits proxied calls.
        self._own_slots = asyncio.Semaphore(CALLS_AT_ONCE)
        self._slots_at_will = Slots(MOST_AT_WILL, MOST_WAITING)

    async def send(self, call: Call) -> Answer:
        """Return the whole answer; repeat the call, if it may be repeated, while WeCom is busy.

        Raises what the errcode means, unless that is a proxied call's answer; `RetryLater`, `WecomProtocol`,
        `AnswerTooLarge`, and what `allow` raises.
        """
        async with self._gated(call) as outcome:
            for pause in () if call.carries_code or call.proxied else PAUSES:
                try:
                    return await self._attempt(call, outcome)
                except Busy:
                    await self._clock.sleep(self._randomness.jitter(pause))
            return await self._attempt(call, outcome)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Exchange]:
        """Send a proxied call and yield the answer as it comes in. Raises as `send`."""
        async with self._gated(call) as outcome, self._exchange(call, outcome) as exchange:
            yield exchange

    async def seconds(self) -> float:
        """Return WeCom's time, in seconds since 1970, from any answer to a call that WeCom does not count.

        Raises `WecomUnavailable`.
        """
        problem = ""
        try:
            async with self._session.head(
                self._base + "/",
                allow_redirects=False,
                timeout=CLOCK_TIMEOUT,
                trace_request_ctx=CallOutcome(),
                **self._egress.options(self._base),
            ) as response:
                if (seconds := told_time(response)) is not None:
                    return seconds
                problem = "its answer has no Date"
        except (aiohttp.ClientError, OSError, ConnectionLost, TimeoutError) as error:
            problem = f"{type(error).__name__}{self._egress.via}{why_unreachable(error)}"
        raise WecomUnavailable(f"WeCom did not tell its time: {problem}")

    @asynccontextmanager
    async def _gated(self, call: Call) -> AsyncIterator[CallOutcome]:
        """Pass the gate before the call, and report to it how the call ended."""
        outcome = CallOutcome()
        try:
            await self._gate.before(call.scope)
            yield outcome
        except BrokerError as error:
            if call.carries_code and not outcome.connected:
                error.code_unread = True
            # A call that was never sent and a caller's mistake say nothing about the endpoint.
            if outcome.was_sent and error is not call.fault:
                await self._gate.after(call.scope, error)
            raise
        await self._gate.after(call.scope, outcome.limit)

    async def _attempt(self, call: Call, outcome: CallOutcome) -> Answer:
        outcome.was_sent = outcome.connected = False
        if call.proxied:
            return await self._answer(call, outcome)
        at_will = call.at_will or call.carries_code
        async with self._slots_at_will.taken(call.endpoint) if at_will else self._own_slots:
            # The wait for a slot is the broker's: it does not count towards WeCom's timeout.
            return await self._answer(call, outcome)

    async def _answer(self, call: Call, outcome: CallOutcome) -> Answer:
        async with self._exchange(call, outcome) as exchange:
            answer = await exchange.answer()
            error = answer.error
            if call.proxied:
                outcome.limit = error if isinstance(error, RateLimited) else None
            elif error:
                raise Busy(error.message, None, **error.metadata) if answer.errcode == SYSTEM_BUSY else error
            return answer

    @asynccontextmanager
    async def _exchange(self, call: Call, outcome: CallOutcome) -> AsyncIterator[Exchange]:
        """Send the call once, and report to the observer how it ended. WeCom is told of no trace."""
        give_back = await call.allow()
        outcome.was_sent = True
        began = time.monotonic()
        exchange = Exchange(call, self._egress, outcome)
        with self._tracer.wecom_call(call.method, call.path_class) as span:
            try:
                async with exchange.opened(self._session, self._base + call.endpoint):
                    if (seconds := exchange.told_time) is not None:
                        self._on_time(seconds)
                    yield exchange
            except BrokerError as error:
                if not outcome.connected:
                    await give_back()
                if error is not call.fault:
                    label = outcome.label or "protocol"
                    span.ended(label, exchange.status)
                    self._report(call, outcome, label, began, error.message)
                raise
            span.ended(outcome.label or "0", exchange.status)
        self._report(call, outcome, outcome.label or "0", began)

    def _report(self, call: Call, outcome: CallOutcome, label: str, began: float, problem: str = "") -> None:
        duration = timedelta(seconds=time.monotonic() - began)
        # Without a connection WeCom has read nothing, so what a caller sent is not at fault.
        of_caller = call.proxied and outcome.connected
        self._observer.upstream_called(
            call.label or call.endpoint, label, duration, of_caller=of_caller, problem=problem
        )


@asynccontextmanager
async def connect_wecom(
    *,
    base: str,
    longest: timedelta,
    egress: Egress,
    gate: UpstreamGate,
    clock: Clock,
    randomness: Randomness,
    observer: Observer,
    on_time: OnTime = _unheard,
    tracer: Tracer = NO_TRACER,
) -> AsyncIterator[WecomClient]:
    """Open the pool; each of the broker's own requests may take `longest` in all.

    `on_time` is told WeCom's time, in seconds since 1970, as each answer begins.
    """
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=longest.total_seconds()),
        connector=egress.connector(),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "wecom-broker"},
        middlewares=(_no_resend,),
        trace_configs=[_connection_trace()],
    ) as session:
        yield WecomClient(
            session,
            base=base,
            egress=egress,
            gate=gate,
            clock=clock,
            randomness=randomness,
            observer=observer,
            on_time=on_time,
            tracer=tracer,
        )


def _connection_trace() -> aiohttp.TraceConfig:
    """Return what notes the connection of each request in the call's outcome, before anything is sent."""

    async def note(_session: object, context: SimpleNamespace, _parameters: object) -> None:
        context.trace_request_ctx.connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(note)
    trace.on_connection_reuseconn.append(note)
    return trace


async def _no_resend(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a GET on its own: it would spend a login code twice (wecom-api G26)."""
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if isinstance(error, aiohttp.ClientConnectorError):
            raise
        raise ConnectionLost(type(error).__name__) from None
