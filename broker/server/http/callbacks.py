"""`/callback/{app}`: WeCom posts here, and is answered once the event is written."""

import asyncio
import secrets
import time
from datetime import timedelta

import structlog
from aiohttp import web

from broker.domain.errors import BrokerError, EnvelopeRejected, InvalidRequest, RetryLater, UnknownApp
from broker.domain.events.event import EnvelopeProblem
from broker.domain.ports.observer import Observer
from broker.server.http.forwarded import Forwarded
from broker.telemetry.logging import LOGGER
from broker.usecases.callbacks.callback import Callback
from broker.usecases.callbacks.decoder import LARGEST_BODY, Signed
from broker.usecases.callbacks.inbox import CallbackInbox

READ_SECONDS = 3.0
"""How long a body may take to arrive: WeCom gives up after 5 s (wecom-api C1)."""
STATUSES: dict[str, int] = {
    EnvelopeProblem.SIGNATURE: 403,
    EnvelopeProblem.TIMESTAMP: 403,
    EnvelopeProblem.RECEIVE_ID: 403,
    EnvelopeProblem.SENDER: 403,
    EnvelopeProblem.SIZE: 413,
}
"""The HTTP status of an envelope's problem, else 400; WeCom treats all but 200 as the same failure."""
CLIENT_PATHS = ("/callback/{app}/{corp_id}", "/callback/{app}/{corp_id}/")
"""Of a 代开发 app at one client."""
SUCCESS = "success"
FAILED = "failed"
"""The outcome of a callback that ended in an unexpected error."""
UNIX_SOCKET_PEER = "127.0.0.1"
"""A peer on a unix socket has no address and is on this machine: it counts as a local proxy."""
WARNING_INTERVAL_SECONDS = 60.0
"""How often one kind of refusal is logged as a warning; the metrics count them all."""


class CallbackEndpoint:
    """Answer WeCom; anybody else learns nothing but a status."""

    def __init__(self, inbox: CallbackInbox, forwarded: Forwarded, observer: Observer) -> None:
        self._inbox = inbox
        self._forwarded = forwarded
        self._observer = observer
        self._log = structlog.get_logger(LOGGER)
        self._warned_at: dict[tuple[str, str], float] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; the second pair is that of 代开发 clients."""
        routes: list[web.RouteDef] = []
        for path in ("/callback/{app}", "/callback/{app}/", *CLIENT_PATHS):
            # A HEAD verifies nothing: its answer would lack the plaintext.
            routes += [web.get(path, self._verify, allow_head=False), web.post(path, self._receive)]
        return routes

    async def _verify(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        app = request.match_info["app"]
        try:
            called = self._called(request)
            signed = _signed(request)
            # Not every sender encodes the '+' of base64.
            echostr = request.query.get("echostr", "").replace(" ", "+")
            plaintext = await self._inbox.verify_url(called, signed, echostr, self._sender(request))
        except Exception as error:  # noqa: BLE001 - the outermost handler: no error may reach the caller raw
            return self._refused(app, error, began)
        return self._answered(app, "verified", web.Response(body=plaintext, content_type="text/plain"), began)

    async def _receive(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        app = request.match_info["app"]
        try:
            # Checked before anything is read or counted: anybody can send a name that is not configured.
            called = self._called(request)
            signed = _signed(request)
            body = await _body(request)
            is_new = await self._inbox.receive(called, signed, body, self._sender(request))
        except Exception as error:  # noqa: BLE001 - as above
            return self._refused(app, error, began)
        return self._answered(app, "accepted" if is_new else "repeated", web.Response(text=SUCCESS), began)

    def _called(self, request: web.Request) -> Callback:
        return self._inbox.callback(request.match_info["app"], request.match_info.get("corp_id", ""))

    def _sender(self, request: web.Request) -> str:
        return self._forwarded.sender(
            request.remote or UNIX_SOCKET_PEER, request.headers.getall("X-Forwarded-For", [])
        )

    def _answered(self, app: str, outcome: str, answer: web.Response, began: float) -> web.Response:
        self._observer.callback_ended(app, outcome, timedelta(seconds=time.perf_counter() - began))
        return answer

    def _refused(self, app: str, error: Exception, began: float) -> web.Response:
        if not isinstance(error, BrokerError):
            incident = secrets.token_hex(4)
            self._log.error("unexpected error", callback=app, incident=incident, exc_info=error)
            answer = web.Response(status=500, text=f"internal error, incident {incident}\n")
            return self._answered(app, FAILED, answer, began)
        status, outcome = _status(error)
        # Strangers must not choose metric labels.
        known = app if not isinstance(error, UnknownApp) else ""
        say = self._log.warning if self._is_due(known, outcome) else self._log.debug
        say("callback refused", app=known, outcome=outcome, problem=error.message)
        return self._answered(known, outcome, web.Response(status=status, text="refused\n"), began)

    def _is_due(self, app: str, outcome: str) -> bool:
        """Return whether a warning is due: strangers must not fill the log."""
        now = time.monotonic()
        if now - self._warned_at.get((app, outcome), -WARNING_INTERVAL_SECONDS) < WARNING_INTERVAL_SECONDS:
            return False
        self._warned_at[app, outcome] = now
        return True


def _status(error: BrokerError) -> tuple[int, str]:
    """Return the HTTP status and the outcome that is counted."""
    match error:
        case EnvelopeRejected():
            return STATUSES.get(error.problem, 400), error.problem
        case InvalidRequest():
            return (404, "no_callback") if error.metadata["field"] == "app" else (400, "query")
        case UnknownApp():
            return 404, "unknown_app"
        case _:
            return 503 if isinstance(error, RetryLater) else 500, error.reason.lower()


def _signed(request: web.Request) -> Signed:
    query = request.query
    return Signed(query.get("msg_signature", ""), query.get("timestamp", ""), query.get("nonce", ""))


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise EnvelopeRejected(EnvelopeProblem.SIZE, f"the body is over {LARGEST_BODY} bytes") from None
    except TimeoutError:
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body does not arrive") from None
    except (web.RequestPayloadError, OSError):
        raise EnvelopeRejected(EnvelopeProblem.FORMAT, "the body cannot be read") from None
