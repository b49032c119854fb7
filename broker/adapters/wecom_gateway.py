"""WeCom's other interfaces, passed through: bounded, streamed where files travel, and the token cut out."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import aiohttp

from broker.adapters.wecom_http import ConnectionLost, WecomHttp, token_query
from broker.domain.credentials import Credential
from broker.domain.errors import BrokerError, RateLimited, WecomProtocol, WecomUnavailable
from broker.domain.ports import ApiAnswer, ApiCall, MediaHead
from broker.protocol.error_codes import error_of

MOST_BYTES = 3 * 1024 * 1024
CHUNK = 64 * 1024
SLOW_SECONDS = 300.0
"""How long a file may take; an ordinary call ends with its caller's deadline."""
CALL_SECONDS = 60.0
SERVER_ERROR = 500


class WecomGatewayHttp:
    """Send calls of any path; an errcode is an answer."""

    def __init__(self, http: WecomHttp) -> None:
        self._http = http

    async def call(self, token: Credential, call: ApiCall) -> ApiAnswer:
        """Send one call, once. Raises `RateLimited`, `WecomUnavailable`, `WecomProtocol`."""
        query = [*call.query, *token_query(token).items()]
        headers = {"Content-Type": "application/json"} if call.body else {}
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        async with (
            self._gated(call.path, token) as learn,
            self._response(call.method, call.path, params=query, data=call.body or None, headers=headers, timeout=timeout) as response,
        ):
            body = await _whole(call.path, response)
            answer = _answer(call.path, body, token)
            learn(answer.errcode)
        return answer

    async def upload(
        self, token: Credential, kind: str, head: MediaHead, chunks: AsyncIterator[bytes]
    ) -> tuple[ApiAnswer, str]:
        """Send a file as it comes; return the answer and the media_id."""
        path = "/cgi-bin/media/upload"
        form = aiohttp.MultipartWriter("form-data")
        part = form.append(chunks, {"Content-Type": head.content_type})
        # WeCom reads the name as plain UTF-8; it does not know the percent-encoded form.
        part.set_content_disposition("form-data", quote_fields=False, name="media", filename=head.file_name)
        query = [*token_query(token).items(), ("type", kind)]
        timeout = aiohttp.ClientTimeout(total=SLOW_SECONDS)
        async with (
            self._gated(path, token) as learn,
            self._response("POST", path, params=query, data=form, timeout=timeout) as response,
        ):
            body = await _whole(path, response)
            answer = _answer(path, body, token)
            learn(answer.errcode)
        return answer, str(json.loads(body).get("media_id", ""))

    async def download(self, token: Credential, media_id: str) -> AsyncGenerator[MediaHead | bytes, None]:
        """Yield what the file is, then its pieces as they come. Raises what an errcode means."""
        path = "/cgi-bin/media/get"
        query = [*token_query(token).items(), ("media_id", media_id)]
        timeout = aiohttp.ClientTimeout(total=SLOW_SECONDS)
        async with (
            self._gated(path, token) as learn,
            self._response("GET", path, params=query, timeout=timeout) as response,
        ):
            if response.content_type in ("application/json", "text/plain"):
                # WeCom sends files as what they are; a JSON object with an errcode is a refusal.
                body = await _whole(path, response)
                refusal = _refusal(path, body)
                if refusal is not None:
                    learn(int(refusal.metadata.get("errcode", 0)))
                    raise refusal
                yield _head(response, len(body))
                yield body
                return
            yield _head(response, response.content_length or 0)
            async for chunk in response.content.iter_chunked(CHUNK):
                yield chunk

    @asynccontextmanager
    async def _gated(self, path: str, token: Credential) -> AsyncIterator["Learn"]:
        """Pass the gate before the call, and tell it how the call ended."""
        learn = Learn(path)
        await self._http.gate.enter(path, token.key.corp_id)
        try:
            yield learn
        except BrokerError as error:
            await self._http.gate.leave(path, token.key.corp_id, error)
            raise
        await self._http.gate.leave(path, token.key.corp_id, learn.error)

    @asynccontextmanager
    async def _response(self, method: str, path: str, **options: object) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send; no exception of the library leaves: they carry the URL. Raises `WecomUnavailable`."""
        try:
            async with self._http.open(method, path, **options) as response:
                if response.status >= SERVER_ERROR:
                    raise WecomUnavailable(f"WeCom answered HTTP {response.status}", endpoint=path)
                yield response
        except TimeoutError:
            raise WecomUnavailable("WeCom did not answer in time", endpoint=path) from None
        except aiohttp.ClientPayloadError:
            raise WecomProtocol("WeCom's answer broke off", endpoint=path) from None
        except (aiohttp.ClientError, OSError, ConnectionLost):
            raise WecomUnavailable("WeCom cannot be reached", endpoint=path) from None


class Learn:
    """Note an errcode that closes an endpoint, though it is an answer to the caller."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.error: BrokerError | None = None

    def __call__(self, errcode: int) -> None:
        """Note it."""
        error = error_of(self._path, {"errcode": errcode})
        self.error = error if isinstance(error, RateLimited) else None


async def _whole(path: str, response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in response.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > MOST_BYTES:
            raise WecomProtocol(f"WeCom's answer is larger than {MOST_BYTES} bytes", endpoint=path)
    return body


def _answer(path: str, body: bytes, token: Credential) -> ApiAnswer:
    """Return the answer with the token cut out, in whatever form WeCom echoes it."""
    value = token.value.reveal()
    for form in {value, quote(value, safe=""), json.dumps(value)[1:-1]}:
        body = body.replace(form.encode(), b"***")
    found = _object(body)
    if found is None:
        raise WecomProtocol("WeCom's answer is not a JSON object", endpoint=path)
    errcode = found.get("errcode", 0)
    if isinstance(errcode, bool) or not isinstance(errcode, int):
        raise WecomProtocol("WeCom's errcode is not a number", endpoint=path)
    return ApiAnswer(errcode, str(found.get("errmsg", "")), body)


def _refusal(path: str, body: bytes) -> BrokerError | None:
    found = _object(body)
    return error_of(path, found) if found is not None and "errcode" in found else None


def _object(body: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _head(response: aiohttp.ClientResponse, size: int) -> MediaHead:
    disposition = response.content_disposition
    return MediaHead((disposition and disposition.filename) or "", response.content_type, size)
