"""One request to WeCom and its answer. No exception of aiohttp leaves this module: it carries the URL."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import aiohttp

from broker.adapters.wecom.call import Answer, Call
from broker.adapters.wecom.egress import Egress
from broker.adapters.wecom.upload import base_name
from broker.domain.errors import (
    AnswerTooLarge,
    BrokerError,
    InvalidRequest,
    RateLimited,
    WecomProtocol,
    WecomUnavailable,
)
from broker.domain.ports.passthrough import MediaHead
from broker.protocol.error_codes import BY_CODE, errcode_of
from broker.protocol.wecom_json import read_object

MOST_BYTES = 4 * 1024 * 1024
MOST_PROXIED_BYTES = 3 * 1024 * 1024
"""What fits into a gRPC message, with room for its other fields."""
CHUNK = 64 * 1024
NOT_AN_ANSWER = 300
"""From this HTTP status on, only an errcode is an answer."""
NOT_FOUND, PROXY_REFUSED, TOO_MANY_REQUESTS, SERVER_ERROR = 404, 407, 429, 500
WORDS = frozenset({"application/json", "text/plain", "text/html"})

Result = TypeVar("Result")


class Busy(WecomUnavailable):
    """WeCom could not be reached or said that it is busy: asking again at once may help."""


class ConnectionLost(Exception):
    """A connection ended before the answer came."""


@dataclass
class CallOutcome:
    """How a call ended, for operators and for the gate before its endpoint; of repeats, the last one."""

    label: str = ""
    """An errcode, or a word for why there was none."""
    limit: RateLimited | None = None
    """A rate limit that closes the endpoint, although a proxied call returns it as a regular answer."""
    was_sent: bool = False
    connected: bool = False
    """Whether there was a connection, so that WeCom may have read the call."""


class Exchange:
    """A request that was sent, and its answer."""

    def __init__(self, call: Call, egress: Egress, outcome: CallOutcome) -> None:
        self._call = call
        self._egress = egress
        self._outcome = outcome
        self._response: aiohttp.ClientResponse
        self.status = 0
        """The HTTP status; 0 until there is an answer."""

    @asynccontextmanager
    async def opened(self, session: aiohttp.ClientSession, url: str) -> AsyncIterator["Exchange"]:
        """Send the request and wait for the head of the answer. Raises `RetryLater`."""
        call = self._call
        options = self._egress.options(url)
        data = call.upload.form() if call.upload else call.content()
        if data and not call.upload:
            options["headers"] = {**options.get("headers", {}), "Content-Type": "application/json"}
        if call.longest:
            options["timeout"] = aiohttp.ClientTimeout(total=call.longest.total_seconds())
        self._outcome.label = ""
        self._response = await self._completed(
            session.request(
                call.method,
                url,
                params=call.parameters(),
                data=data or None,
                allow_redirects=False,
                trace_request_ctx=self._outcome,
                **options,
            )
        )
        async with self._response:
            self.status = self._response.status
            self._check_status(self.status)
            yield self

    @property
    def told_time(self) -> float | None:
        """Return the time at which WeCom answered, in seconds since 1970, if it says so."""
        return told_time(self._response)

    @property
    def is_file(self) -> bool:
        """Return whether the body is a file: WeCom names every file, and unnamed text is a refusal."""
        response = self._response
        named = response.content_disposition is not None
        return response.status < NOT_AN_ANSWER and (named or response.content_type not in WORDS)

    @property
    def head(self) -> MediaHead:
        """Return the file's name, type and size."""
        response = self._response
        disposition = response.content_disposition
        packed = "Content-Encoding" in response.headers
        size = 0 if packed else response.content_length or 0
        name = (disposition and disposition.filename) or ""
        # aiohttp keeps bytes that are not UTF-8 as surrogate escapes.
        name = name.encode(errors="surrogateescape").decode(errors="replace")
        return MediaHead(base_name(name), response.content_type, size)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises `WecomProtocol`, `RetryLater`."""
        while chunk := await self._completed(self._response.content.read(CHUNK)):
            yield chunk

    async def answer(self) -> Answer:
        """Return the whole answer. Raises `WecomProtocol`, `AnswerTooLarge`, `RetryLater`."""
        call, status, body = self._call, self._response.status, await self._whole()
        fields = read_object(body)
        if fields is None or (status >= NOT_AN_ANSWER and "errcode" not in fields):
            raise self._no_answer(status)
        errcode = errcode_of(fields)
        if errcode is None:
            raise WecomProtocol("WeCom's errcode is not a number", endpoint=call.endpoint)
        # Known codes only, so that the number of labels is bounded.
        self._outcome.label = str(errcode) if errcode == 0 or errcode in BY_CODE else "unknown"
        return Answer(call, body, fields, errcode)

    async def _whole(self) -> bytes:
        body = bytearray()
        most = MOST_PROXIED_BYTES if self._call.proxied else MOST_BYTES
        async for chunk in self.chunks():
            body += chunk
            if len(body) > most:
                raise self._too_large(most)
        return bytes(body)

    def _too_large(self, most: int) -> BrokerError:
        endpoint = self._call.endpoint
        if not self._call.proxied:
            return WecomProtocol("WeCom's answer is too large", endpoint=endpoint)
        problem = f"WeCom's answer is larger than {most} bytes: ask for it page by page (limit, cursor)"
        return self._failed("too_large", AnswerTooLarge(problem, endpoint=endpoint, limit_bytes=most))

    def _check_status(self, status: int) -> None:
        """Raise the error that the HTTP status alone stands for."""
        message, said = f"WeCom answered HTTP {status}", self._said(status)
        if status == TOO_MANY_REQUESTS:
            raise self._failed(f"http_{status}", RateLimited(message, **said))
        if status >= SERVER_ERROR:
            raise self._failed(f"http_{status}", Busy(message, **said))
        if status == PROXY_REFUSED and self._egress.proxy:
            raise self._failed("connection", self._proxy_refused(status))

    def _no_answer(self, status: int) -> BrokerError:
        said = self._said(status)
        if status == NOT_FOUND and self._call.blames == "path":
            return self._failed(
                "http_404", InvalidRequest("path", "WeCom has no such path (HTTP 404)", **said)
            )
        return WecomProtocol(f"WeCom's answer (HTTP {status}) is not a JSON object", **said)

    async def _completed(self, pending: Awaitable[Result]) -> Result:
        """Wait for aiohttp. Raises `WecomProtocol`, `RetryLater`, and an uploading caller's mistake."""
        call = self._call
        problem: BrokerError
        try:
            return await pending
        except TimeoutError:
            if call.upload:
                call.upload.note_timeout()
            late = f"WeCom did not answer in time{self._egress.via}"
            problem = self._failed("timeout", WecomUnavailable(late, endpoint=call.endpoint))
        except aiohttp.ClientPayloadError:
            problem = WecomProtocol("WeCom's answer broke off", endpoint=call.endpoint)
        except aiohttp.ClientHttpProxyError as error:
            problem = self._failed("connection", self._proxy_refused(error.status))
        except (aiohttp.ClientError, OSError, ConnectionLost) as error:
            problem = self._failed("connection", self._unreachable(error))
        # Raised outside the handlers, so that aiohttp's exception is not even its context.
        raise call.fault or problem

    def _unreachable(self, error: Exception) -> BrokerError:
        said: dict[str, Any] = {"endpoint": self._call.endpoint, "cause": type(error).__name__}
        return Busy(f"WeCom cannot be reached{self._egress.via}{why_unreachable(error)}", **said)

    def _proxy_refused(self, status: int) -> BrokerError:
        problem = "refuses the broker's credentials" if status == PROXY_REFUSED else "cannot pass calls on"
        said = self._said(status)
        return WecomUnavailable(f"the proxy {self._egress.proxy_address} {problem} (HTTP {status})", **said)

    def _failed(self, label: str, error: BrokerError) -> BrokerError:
        self._outcome.label = label
        return error

    def _said(self, status: int) -> dict[str, Any]:
        return {"endpoint": self._call.endpoint, "http_status": status}


def why_unreachable(error: Exception) -> str:
    """Return the host and what is wrong with it, to put behind an error; empty where nothing is known."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f": the name {error.host} cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return f": the certificate of {error.host} is not trusted"
        case aiohttp.ClientConnectorError():
            return f": no connection to {error.host}:{error.port}"
        case _:
            return ""


def told_time(response: aiohttp.ClientResponse) -> float | None:
    """Return the `Date` of an answer, in seconds since 1970; None without one that can be read."""
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):
        return None
