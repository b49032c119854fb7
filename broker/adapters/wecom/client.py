"""WeCom over HTTPS: pooled, bounded in time and size, and no token in any log or error."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp

from broker.domain.apps import App
from broker.domain.corps import CORP_ID, ShareKind
from broker.domain.credentials import Credential, Grant
from broker.domain.errors import (
    BrokerError,
    QuotaReserved,
    RateLimited,
    WecomProtocol,
    WecomUnavailable,
)
from broker.domain.ports.clock import Clock, Randomness
from broker.domain.ports.observer import Observer
from broker.domain.ports.rate_gate import CallScope, UpstreamGate
from broker.domain.ports.wecom import Allow
from broker.domain.secret import Secret
from broker.domain.shares import AppShare
from broker.protocol.error_codes import BY_CODE, error_of

MOST_BYTES = 4 * 1024 * 1024
MOST_PAGES = 1000
PAGE = 100
"""The largest page that WeCom gives (wecom-api A2)."""
CALLS_AT_ONCE = 50
PATIENCE = (timedelta(milliseconds=100), timedelta(milliseconds=400))
"""Before WeCom counts as unavailable, what may be repeated is: after each of these."""
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500


class _Busy(WecomUnavailable):
    """WeCom could not be reached or said that it is busy: asking again at once may help."""


class ConnectionLost(Exception):
    """A connection ended before the answer came."""


class WecomHttp:
    """Call WeCom's endpoints."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base: str,
        gate: UpstreamGate,
        clock: Clock,
        randomness: Randomness,
        observer: Observer,
    ) -> None:
        self._session = session
        self._base = base.rstrip("/")
        self.gate = gate
        self._clock = clock
        self._randomness = randomness
        self._observer = observer
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def fetch_app_token(self, app: App) -> Grant:
        """Fetch an app's token in its own corp (wecom-api A1)."""
        path = "/cgi-bin/gettoken"
        query = {"corpid": app.corp_id, "corpsecret": app.secret.reveal()}
        return grant(path, await self.call("GET", CallScope(app.name, app.corp_id, path), query))

    async def fetch_child_token(
        self, parent: Credential, corp_id: str, agent_id: int, share_kind: ShareKind
    ) -> Grant:
        """Fetch a child's token; the agent id is the child's, the limits are the parent's (wecom-api A3)."""
        path = "/cgi-bin/corpgroup/corp/gettoken"
        body = {"corpid": corp_id, "agentid": agent_id, "business_type": share_kind.business_type}
        return grant(path, await self.call("POST", scope_of(parent, path), token_query(parent), body))

    async def list_app_shares(self, parent: Credential, share_kind: ShareKind) -> list[AppShare]:
        """List all shares of one kind, page by page, to `ending` or to no new cursor (wecom-api A2)."""
        path = "/cgi-bin/corpgroup/corp/list_app_share_info"
        shares: dict[tuple[ShareKind, str, int], AppShare] = {}
        cursors = {""}
        cursor = ""
        for _ in range(MOST_PAGES):
            body: dict[str, object] = {
                "agentid": parent.key.agent_id,
                "business_type": share_kind.business_type,
                "limit": PAGE,
            }
            if cursor:
                body["cursor"] = cursor
            answer = await self.call("POST", scope_of(parent, path), token_query(parent), body)
            shares |= {share.identity: share for share in _shares(path, answer, share_kind)}
            cursor = str(answer.get("next_cursor") or "")
            if answer.get("ending") in (1, True, "1") or cursor in cursors:
                return list(shares.values())
            cursors.add(cursor)
        raise WecomProtocol(f"WeCom's listing has over {MOST_PAGES} pages", endpoint=path)

    async def call(
        self,
        method: str,
        scope: CallScope,
        query: Mapping[str, str],
        body: Mapping[str, object] | None = None,
        *,
        allow: Allow | None = None,
    ) -> dict[str, object]:
        """Return the answer. Raises what it means, `WecomApi`, and what `allow` raises.

        A code travels once; everything else is repeated where that may help.
        """
        await self.gate.before(scope)
        send = self._attempt if scope.carries_code else self._patiently
        try:
            answer = await send(method, scope.endpoint, query, body, allow or _always)
        except QuotaReserved:
            # Nothing was sent: that tells nothing of the endpoint.
            raise
        except BrokerError as error:
            await self.gate.after(scope, error)
            raise
        await self.gate.after(scope, None)
        return answer

    async def _patiently(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, object] | None,
        allow: Allow,
    ) -> dict[str, object]:
        for pause in PATIENCE:
            try:
                return await self._attempt(method, path, query, body, allow)
            except _Busy:
                await self._clock.sleep(self._randomness.jitter(pause))
        return await self._attempt(method, path, query, body, allow)

    async def _attempt(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, object] | None,
        allow: Allow,
    ) -> dict[str, object]:
        async with self._slots:
            # Whoever waits for a slot waits for us: that is not WeCom's time-out.
            return await self._send(method, path, query, body, allow)

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, object] | None,
        allow: Allow,
    ) -> dict[str, object]:
        await allow()
        began = time.monotonic()
        outcome = "0"
        try:
            answer = await self._exchange(method, path, query, body)
            if error := error_of(path, answer):
                outcome = code_label(error.metadata.get("errcode", ""))
                # -1: "system busy", asked again at most three times (wecom-api D).
                raise _Busy(error.message, None, **error.metadata) if outcome == "-1" else error
        except BrokerError as error:
            if outcome == "0":
                outcome = str(error.metadata.get("outcome", "protocol"))
            raise
        else:
            return answer
        finally:
            self.tell(path, outcome, began)

    def tell(self, endpoint: str, outcome: str, began: float) -> None:
        """Tell the observer how a call ended that began at that monotonic second."""
        self._observer.upstream_called(endpoint, outcome, timedelta(seconds=time.monotonic() - began))

    def open(
        self,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401 - the library's
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request as it is; the caller maps what goes wrong, and passes `gate`."""
        return self._session.request(method, self._base + path, allow_redirects=False, **options)

    async def _exchange(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, object] | None
    ) -> dict[str, object]:
        """Send one request and read its answer. No exception of the library leaves: they carry the URL."""
        problem: BrokerError
        try:
            async with self._session.request(
                method, self._base + path, params=query, json=body, allow_redirects=False
            ) as response:
                text = await response.content.read(MOST_BYTES + 1)
                while len(text) <= MOST_BYTES and (more := await response.content.read(MOST_BYTES)):
                    text += more
        except TimeoutError:
            problem = WecomUnavailable("WeCom did not answer in time", endpoint=path, outcome="timeout")
        except aiohttp.ClientPayloadError:
            problem = WecomProtocol("WeCom's answer broke off", endpoint=path)
        except (aiohttp.ClientError, OSError, ConnectionLost) as error:
            kind = type(error).__name__
            problem = _Busy("WeCom cannot be reached", endpoint=path, outcome="connection", cause=kind)
        else:
            return _object(path, response.status, text)
        # Raised out here, so that it does not even have the library's exception for its context.
        raise problem


@asynccontextmanager
async def connect_wecom(
    base: str,
    longest: timedelta,
    gate: UpstreamGate,
    clock: Clock,
    randomness: Randomness,
    observer: Observer,
) -> AsyncIterator[WecomHttp]:
    """Open the pool; each request may take `longest` in all."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=longest.total_seconds()),
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "wecom-broker"},
        middlewares=(_no_resend,),
    ) as session:
        yield WecomHttp(session, base, gate, clock, randomness, observer)


async def _no_resend(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET again by itself: it would spend a login code twice (wecom-api G26)."""
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if isinstance(error, aiohttp.ClientConnectorError):
            raise
        raise ConnectionLost(type(error).__name__) from None


async def _always() -> None:
    """Let every call go out."""


def scope_of(token: Credential, path: str, *, carries_code: bool = False) -> CallScope:
    """Return the scope of a call with that token."""
    return CallScope(token.key.app, token.key.corp_id, path, carries_code)


def token_query(credential: Credential) -> dict[str, str]:
    """Return the query that carries the token: it travels in the URL, never in the body (41001)."""
    return {"access_token": credential.value.reveal()}


def _object(path: str, status: int, text: bytes) -> dict[str, object]:
    """Return the JSON object in the answer, whatever its content type says."""
    if status == TOO_MANY_REQUESTS:
        raise RateLimited("WeCom answered HTTP 429", endpoint=path, outcome="http_429")
    if status >= SERVER_ERROR:
        raise _Busy(f"WeCom answered HTTP {status}", endpoint=path, outcome=f"http_{status}")
    if len(text) > MOST_BYTES:
        raise WecomProtocol("WeCom's answer is too large", endpoint=path)
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise WecomProtocol(f"WeCom's answer (HTTP {status}) is not a JSON object", endpoint=path)
    if status >= 300 and "errcode" not in answer:  # noqa: PLR2004
        raise WecomProtocol(f"WeCom answered HTTP {status}", endpoint=path)
    return answer


def grant(path: str, answer: Mapping[str, object], name: str = "access_token") -> Grant:
    """Return the value of that name and its lifetime. Raises `WecomProtocol`."""
    value, lifetime = answer.get(name), answer.get("expires_in")
    # It travels in a query string and in messages: what is no ASCII is no token.
    if not isinstance(value, str) or not value or not value.isascii():
        raise WecomProtocol(f"WeCom's answer has no {name}", endpoint=path)
    try:
        seconds = float(lifetime)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        seconds = 0
    if not 1 <= seconds < 365 * 86400:
        raise WecomProtocol("WeCom's answer has no usable expires_in", endpoint=path)
    return Grant(Secret(value), timedelta(seconds=seconds))


def _shares(path: str, answer: Mapping[str, object], share_kind: ShareKind) -> list[AppShare]:
    corps = answer.get("corp_list") or []
    if not isinstance(corps, list):
        raise WecomProtocol("WeCom's corp_list is not a list", endpoint=path)
    try:
        shares = [
            AppShare(share_kind, str(corp["corpid"]), int(corp["agentid"]), _text(corp.get("corp_name")))
            for corp in corps
        ]
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        raise WecomProtocol("WeCom's corp_list has an entry that cannot be read", endpoint=path) from None
    if not all(CORP_ID.fullmatch(share.corp_id) for share in shares):
        raise WecomProtocol("WeCom's corp_list has a malformed corpid", endpoint=path)
    if not all(0 < share.agent_id < 2**63 for share in shares):
        raise WecomProtocol("WeCom's corp_list has a malformed agentid", endpoint=path)
    return shares


def _text(given: object) -> str:
    """Return a text for people; JSON may hold half a character, which no message takes."""
    return str(given or "").encode(errors="replace").decode()


def code_label(errcode: str) -> str:
    """Return the errcode as a metric's label: known codes only, so that their number is bounded."""
    return errcode if errcode.lstrip("-").isdigit() and int(errcode) in BY_CODE else "unknown"
