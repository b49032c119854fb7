"""What the console answers, to whom and with which headers."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import Context as Variables
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import grpc
from aiohttp import web
from wecom_broker.v1 import admin_service_pb2 as pb

from broker.domain.access import Action
from broker.domain.caller_policy import CallerPolicy
from broker.domain.errors import Unauthenticated
from broker.server.diagnosis.words import Words
from broker.server.grpc import messages
from broker.server.grpc.context import Context
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.rights import Of, requires
from broker.server.grpc.entry.subjects import Subjects
from broker.server.grpc.guard import RpcGuard
from broker.server.grpc.services.admin import AdminServicer
from broker.server.http.console.browser import BrowserContext, Refused
from broker.server.http.console.language import LANGUAGES, language_of
from broker.server.http.console.origin import is_own, names_an_address
from broker.server.http.console.overview import Overview
from broker.server.http.console.page import Asked, Page

LARGEST_FORM = 4096
STATUSES: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
}
"""The HTTP status of a refusal, else 500."""
NOTHING_PRESENTED = Refused(
    grpc.StatusCode.UNAUTHENTICATED,
    "no known client certificate and no bearer token",
    Unauthenticated.reason,
    None,
)
CHALLENGE = 'Basic realm="wecom-broker console", charset="UTF-8"'
LONGEST_FIND = 100
MOST_DIGITS = 7

Call = Callable[[Any, Context], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Showing:
    """A request to see the page; its app is whom rights are judged by, as in a request of an rpc."""

    app: str
    asked: Asked
    words: Words


class Console:
    """Answer browsers. Who asks, and what for, is judged by the guard of rpcs."""

    def __init__(
        self,
        guard: RpcGuard,
        servicer: AdminServicer,
        overview: Overview,
        policy: CallerPolicy,
        subjects: Subjects,
    ) -> None:
        self._overview = overview
        self._policy = policy
        self._subjects = subjects
        self._page = Page()
        self._one_at_a_time = asyncio.Lock()
        self._show = _guarded(guard, "/wecom_broker.console/ShowConsole", self._shown)
        self._retry = _guarded(guard, "/wecom_broker.v1.AdminService/RetryRefused", servicer.RetryRefused)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/", self._get), web.post("/retry", self._post)]

    @web.middleware
    async def headers(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Add to each answer what tells browsers to show it to nobody else, and to keep nothing."""
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            error.headers.update(self._headers())
            raise
        answer.headers.update(self._headers())
        return answer

    def _headers(self) -> dict[str, str]:
        return {
            "Content-Security-Policy": self._page.policy,
            "Server": "wecom-broker",
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            # Not `no-referrer`: browsers would then send no Origin with a form either (Fetch).
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    async def _get(self, request: web.Request) -> web.Response:
        words, asked = language_of(request), _asked(request.query)
        context = BrowserContext(request)
        if not (context.presents_something() or self._policy.is_open):
            # A browser first comes without a password, to be asked for one: that is no refusal to be audited.
            return self._refused(words, asked, NOTHING_PRESENTED)
        if self._policy.is_open and not names_an_address(request):
            return self._misdirected(words, asked)
        try:
            text = await _in_turn(self._show(Showing(asked.app, asked, words), cast("Context", context)))
        except Refused as refusal:
            return self._refused(words, asked, refusal)
        return _html(text)

    async def _post(self, request: web.Request) -> web.Response:
        words = language_of(request)
        if not is_own(request) or (self._policy.is_open and not names_an_address(request)):
            return self._misdirected(words, Asked())
        form = await request.post()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        words, asked = LANGUAGES.get(fields.get("lang", ""), words), _asked(fields)
        retried = fields.get("retry", "")
        try:
            await _in_turn(self._retry(pb.RetryRefusedRequest(app=retried), _context(request)))
        except Refused as refusal:
            return self._refused(words, asked, refusal)
        # Seen by GET, so that the browser's reload does not try again once more.
        raise web.HTTPSeeOther(asked.link(page=asked.page if asked.page > 1 else "", retried=retried))

    @requires(Action.ADMIN_READ, of=Of.REQUEST_OR_ALL_APPS)
    async def _shown(self, request: Showing, context: Context) -> str:
        """Return the page."""
        app = request.app and messages.app_name("app", request.app)
        # What is gathered may be much: the calls of others come in between.
        async with self._one_at_a_time:
            seen = await self._overview.look(app, request.words, context)
        caller = current_caller.get()
        may_retry = frozenset(
            name
            for name in seen.refused_apps
            if self._policy.may(caller, Action.ADMIN_REFRESH, name, self._subjects.corp(name, ""))
        )
        return self._page.console(seen, request.asked, may_retry)

    def _refused(self, words: Words, asked: Asked, refusal: Refused) -> web.Response:
        status = STATUSES.get(refusal.code, 500)
        hints = {
            grpc.StatusCode.UNAUTHENTICATED: words.say(
                "The user name may be anything; the password is a caller's token."
            ),
            grpc.StatusCode.PERMISSION_DENIED: words.say(
                "This caller needs the action admin.read for all apps, or the page of one app: /?app=NAME"
            ),
        }
        answer = _html(
            self._page.refused(
                words, asked, reason=refusal.reason, message=refusal.message, hint=hints.get(refusal.code, "")
            ),
            status,
        )
        if refusal.code is grpc.StatusCode.UNAUTHENTICATED:
            answer.headers["WWW-Authenticate"] = CHALLENGE
        if refusal.retry_seconds:
            answer.headers["Retry-After"] = str(refusal.retry_seconds)
        return answer

    def _misdirected(self, words: Words, asked: Asked) -> web.Response:
        hint = words.say("Open the console by its address, and press its own buttons.")
        text = self._page.refused(
            words,
            asked,
            reason="FORBIDDEN",
            message=words.say("the request comes from another site"),
            hint=hint,
        )
        return _html(text, 403)


def _guarded(guard: RpcGuard, method: str, handler: Call) -> Call:
    """Return a handler that the guard has wrapped, as it wraps those of rpcs."""
    wrapped: Any = grpc.unary_unary_rpc_method_handler(cast("Any", handler))
    return cast("Call", guard.guard(method, wrapped).unary_unary)


Answer = TypeVar("Answer")


async def _in_turn(call: Coroutine[Any, Any, Answer]) -> Answer:
    """Return the answer of a call with variables of its own: a connection's next request knows no caller."""
    return await asyncio.create_task(call, context=Variables())


def _context(request: web.Request) -> Context:
    return cast("Context", BrowserContext(request))


def _asked(fields: Mapping[str, str]) -> Asked:
    page = fields.get("page", "")
    return Asked(
        app=fields.get("app", ""),
        find=fields.get("find", "")[:LONGEST_FIND],
        page=int(page) if page.isascii() and page.isdigit() and len(page) < MOST_DIGITS else 1,
        lang=lang if (lang := fields.get("lang", "")) in LANGUAGES else "",
        retried=fields.get("retried", ""),
    )


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
