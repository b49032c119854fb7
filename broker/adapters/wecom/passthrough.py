"""WeCom's other interfaces, passed through: bounded, streamed where files travel, and the token cut out."""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import quote

import aiohttp

from broker.adapters.wecom.client import (
    SERVER_ERROR,
    TOO_MANY_REQUESTS,
    ConnectionLost,
    WecomHttp,
    code_label,
    scope_of,
    token_query,
)
from broker.domain.credentials import Credential
from broker.domain.errors import BrokerError, InvalidRequest, RateLimited, WecomProtocol, WecomUnavailable
from broker.domain.ports.passthrough import ApiAnswer, ApiCall, MediaHead
from broker.protocol.error_codes import error_of

MOST_BYTES = 3 * 1024 * 1024
LONGEST_MESSAGE = 4096
CHUNK = 64 * 1024
UNKNOWN_MEDIA = 40007
CALLS_AT_ONCE = 64
"""Callers' calls and files never take what the broker needs for its own."""
SOON = timedelta(seconds=1)
STREAMED = ("/cgi-bin/media/upload", "/cgi-bin/media/get")
SLOW_SECONDS = 300.0
"""How long a file may take; an ordinary call ends with its caller's deadline."""
CALL_SECONDS = 60.0
NOT_AN_ANSWER = 300
"""From this HTTP status on, only an errcode is an answer."""
REFUSAL_TYPES = frozenset({"application/json", "text/plain", "text/html"})


class WecomGatewayHttp:
    """Send calls of any path; an errcode is an answer."""

    def __init__(self, http: WecomHttp) -> None:
        self._http = http
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def call(self, token: Credential, call: ApiCall) -> ApiAnswer:
        """Send one call, once. Raises `RateLimited`, `WecomUnavailable`, `WecomProtocol`."""
        query = [*call.query, *token_query(token).items()]
        headers = {"Content-Type": "application/json"} if call.body else {}
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        options = {"params": query, "data": call.body or None, "headers": headers, "timeout": timeout}
        async with (
            self._gated(call.path, token) as passage,
            self._response(call.method, call.path, passage, **options) as response,
        ):
            answer = await _answer(call.path, response, token)
            passage.learn(answer.errcode)
        return answer

    async def upload(
        self, token: Credential, kind: str, head: MediaHead, chunks: AsyncIterator[bytes]
    ) -> tuple[ApiAnswer, str]:
        """Send a file as it comes; return the answer and the media_id. Raises what `chunks` raises, too."""
        path = "/cgi-bin/media/upload"
        async with self._gated(path, token) as passage:
            form = aiohttp.MultipartWriter("form-data")
            part = form.append(passage.watched(chunks), {"Content-Type": head.content_type})
            # WeCom reads the name as plain UTF-8; it does not know the percent-encoded form.
            part.set_content_disposition(
                "form-data", quote_fields=False, name="media", filename=head.file_name
            )
            query = [*token_query(token).items(), ("type", kind)]
            timeout = aiohttp.ClientTimeout(total=SLOW_SECONDS)
            options = {"params": query, "data": form, "timeout": timeout}
            async with self._response("POST", path, passage, **options) as response:
                answer = await _answer(path, response, token)
                passage.learn(answer.errcode)
        return answer, str(json.loads(answer.body).get("media_id", ""))

    async def download(self, token: Credential, media_id: str) -> AsyncGenerator[MediaHead | bytes, None]:
        """Yield what the file is, then its pieces as they come. Raises what an errcode means."""
        path = "/cgi-bin/media/get"
        query = [*token_query(token).items(), ("media_id", media_id)]
        timeout = aiohttp.ClientTimeout(total=SLOW_SECONDS)
        async with (
            self._gated(path, token) as passage,
            self._response("GET", path, passage, params=query, timeout=timeout) as response,
        ):
            # WeCom names every file; what has no name and could be words is a refusal.
            named = response.content_disposition is not None
            if response.status >= NOT_AN_ANSWER or (not named and response.content_type in REFUSAL_TYPES):
                raise await _refusal(path, response)
            yield _head(response)
            async for chunk in response.content.iter_chunked(CHUNK):
                yield chunk

    @asynccontextmanager
    async def _gated(self, path: str, token: Credential) -> AsyncIterator["Passage"]:
        """Pass the gate before the call, and tell it how the call ended."""
        if self._slots.locked():
            raise WecomUnavailable("this broker passes on as many calls as it may", SOON, endpoint=path)
        async with self._slots, self._passing(path, token) as passage:
            yield passage

    @asynccontextmanager
    async def _passing(self, path: str, token: Credential) -> AsyncIterator["Passage"]:
        passage = Passage(path)
        scope = scope_of(token, path)
        await self._http.gate.before(scope)
        began = time.monotonic()
        try:
            yield passage
        except BrokerError as error:
            if error is not passage.callers:
                self._http.tell(_label(path), passage.outcome or _label_of(error), began)
                await self._http.gate.after(scope, error)
            raise
        self._http.tell(_label(path), passage.outcome or "0", began)
        await self._http.gate.after(scope, passage.error)

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, passage: "Passage", **options: object
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send; no exception of the library leaves: it carries the URL. Raises `RetryLater`."""
        try:
            async with self._http.open(method, path, **options) as response:
                if response.status == TOO_MANY_REQUESTS:
                    raise RateLimited("WeCom answered HTTP 429", endpoint=path)
                if response.status >= SERVER_ERROR:
                    raise WecomUnavailable(f"WeCom answered HTTP {response.status}", endpoint=path)
                yield response
        except TimeoutError:
            late = WecomUnavailable("WeCom did not answer in time", endpoint=path)
            raise passage.callers_silence() or late from None
        except aiohttp.ClientPayloadError:
            raise WecomProtocol("WeCom's answer broke off", endpoint=path) from None
        except (aiohttp.ClientError, OSError, ConnectionLost):
            raise passage.callers or WecomUnavailable("WeCom cannot be reached", endpoint=path) from None


class Passage:
    """Note what a call tells of its endpoint: an errcode may close it, though it is an answer to the caller.

    What the caller did wrong while it sent a file tells nothing.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._waits_for_caller = False
        self.outcome = ""
        self.error: BrokerError | None = None
        self.callers: BrokerError | None = None

    def learn(self, errcode: int) -> None:
        """Note what WeCom answered."""
        self.outcome = code_label(str(errcode)) if errcode else "0"
        error = error_of(self._path, {"errcode": errcode})
        self.error = error if isinstance(error, RateLimited) else None

    async def watched(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the caller's pieces, and note where it fails or dawdles."""
        self._waits_for_caller = True
        try:
            async for chunk in chunks:
                self._waits_for_caller = False
                yield chunk
                self._waits_for_caller = True
        except BrokerError as error:
            self.callers = error
            raise
        self._waits_for_caller = False

    def callers_silence(self) -> BrokerError | None:
        """Return what the caller is told where it was the one to wait for."""
        if self._waits_for_caller:
            self.callers = InvalidRequest("chunk", "the next one did not come in time")
        return self.callers


async def _whole(path: str, response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > MOST_BYTES:
            raise WecomProtocol(f"WeCom's answer is larger than {MOST_BYTES} bytes", endpoint=path)
    return bytes(body)


async def _answer(path: str, response: aiohttp.ClientResponse, token: Credential) -> ApiAnswer:
    """Return the answer with the token cut out, in whatever form WeCom echoes it. Raises `WecomProtocol`."""
    body = _without(token.value.reveal(), await _whole(path, response))
    found = _object(body)
    if found is None:
        raise WecomProtocol(f"WeCom's answer (HTTP {response.status}) is not a JSON object", endpoint=path)
    if response.status >= NOT_AN_ANSWER and "errcode" not in found:
        raise WecomProtocol(f"WeCom answered HTTP {response.status}", endpoint=path)
    errcode = found.get("errcode", 0)
    if isinstance(errcode, str) and errcode.lstrip("-").isdecimal():
        errcode = int(errcode[:20])
    if isinstance(errcode, bool) or not isinstance(errcode, int) or abs(errcode) >= 2**31:
        raise WecomProtocol("WeCom's errcode is not a number", endpoint=path)
    # The body has it whole; twice it would be more than a message of gRPC holds.
    return ApiAnswer(errcode, str(found.get("errmsg", ""))[:LONGEST_MESSAGE], body)


def _without(value: str, body: bytes) -> bytes:
    """Cut a value out: plain, in JSON with or without escaped slashes, percent-encoded in any case."""
    in_json = json.dumps(value)[1:-1]
    for form in {value, in_json, in_json.replace("/", "\\/")}:
        body = body.replace(form.encode(), b"***")
    for encoded in {quote(value, safe=""), quote(value)}:
        body = re.sub(re.escape(encoded.encode()), b"***", body, flags=re.IGNORECASE)
    return body


async def _refusal(path: str, response: aiohttp.ClientResponse) -> BrokerError:
    """Return what WeCom says in a file's place."""
    found = _object(await _whole(path, response))
    if found is not None and found.get("errcode") == UNKNOWN_MEDIA:
        return InvalidRequest(
            "media_id", "is unknown to WeCom, or expired", errcode=UNKNOWN_MEDIA, endpoint=path
        )
    error = error_of(path, found) if found is not None else None
    return error or WecomProtocol(f"WeCom's answer (HTTP {response.status}) is not a file", endpoint=path)


def _object(body: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _label(path: str) -> str:
    """Return a path as a metric's label: callers choose paths, so most have one label together."""
    return path if path in STREAMED else "other"


def _label_of(error: BrokerError) -> str:
    if isinstance(error, WecomUnavailable):
        return "timeout" if "in time" in error.message else "connection"
    return "protocol"


def _head(response: aiohttp.ClientResponse) -> MediaHead:
    disposition = response.content_disposition
    packed = "Content-Encoding" in response.headers
    size = 0 if packed else response.content_length or 0
    return MediaHead((disposition and disposition.filename) or "", response.content_type, size)
