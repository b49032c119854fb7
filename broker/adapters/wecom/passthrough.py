"""Calls to WeCom's other interfaces for services: limited, files streamed, and the token cut out."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from broker.adapters.wecom.call import TOKEN, Answer, Call
from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.redaction import cut_out
from broker.adapters.wecom.upload import Upload
from broker.domain.credentials import Credential
from broker.domain.errors import InvalidRequest, WecomUnavailable
from broker.domain.ports.passthrough import ApiAnswer, ApiCall, MediaHead

LONGEST_MESSAGE = 4096
BYTES = "application/octet-stream"
UNKNOWN_MEDIA = 40007
CALLS_AT_ONCE = 64
"""Callers' calls and files never take slots that the broker's own calls need."""
SOON = timedelta(seconds=1)
CALL_TIME, FILE_TIME = timedelta(minutes=1), timedelta(minutes=5)
"""A call ends at its caller's deadline if that is earlier."""


class Passthrough:
    """Send calls to any path, once; an errcode is a regular answer."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def call(self, token: Credential, call: ApiCall) -> ApiAnswer:
        """Send one call. Raises `RetryLater`, `WecomProtocol`, `AnswerTooLarge`, `InvalidRequest`."""
        sent = Call(
            call.method,
            call.path,
            token,
            call.query,
            call.body,
            blames="path",
            proxied=True,
            caller=call.caller,
            # Callers choose the paths, so metrics count all under one name.
            label="other",
            longest=CALL_TIME,
        )
        async with self._slot(call.path):
            return _redacted(await self._client.send(sent), token)

    async def upload(
        self, token: Credential, kind: str, head: MediaHead, chunks: AsyncIterator[bytes]
    ) -> tuple[ApiAnswer, str]:
        """Send a file as it arrives; return the answer and the media_id. Raises what `chunks` raises, too."""
        path = "/cgi-bin/media/upload"
        query, file = (("type", kind),), Upload(head, chunks)
        async with self._slot(path):
            answer = await self._client.send(
                Call(
                    "POST",
                    path,
                    token,
                    query,
                    file,
                    blames="type",
                    proxied=True,
                    is_file=True,
                    longest=FILE_TIME,
                )
            )
        value, media_id = token.value.reveal(), str(answer.fields.get("media_id", ""))
        return _redacted(answer, token), cut_out(value, media_id.encode(errors="replace")).decode()

    async def download(self, token: Credential, media_id: str) -> AsyncGenerator[MediaHead | bytes, None]:
        """Yield the file's head, then its chunks as they arrive. Raises what an errcode means."""
        path = "/cgi-bin/media/get"
        query = (("media_id", media_id),)
        call = Call(
            "GET", path, token, query, blames="media_id", proxied=True, is_file=True, longest=FILE_TIME
        )
        async with self._slot(path), self._client.stream(call) as exchange:
            if not exchange.is_file:
                answer = await exchange.answer()
                if answer.errcode == UNKNOWN_MEDIA:
                    problem = "is unknown to WeCom, or expired"
                    raise InvalidRequest("media_id", problem, errcode=UNKNOWN_MEDIA, endpoint=path)
                raise answer.error or answer.unreadable("is not a file")
            yield _without_token(exchange.head, token)
            async for chunk in exchange.chunks():
                yield chunk

    @asynccontextmanager
    async def _slot(self, path: str) -> AsyncIterator[None]:
        if self._slots.locked():
            raise WecomUnavailable("this broker passes on as many calls as it may", SOON, endpoint=path)
        async with self._slots:
            yield


def _without_token(head: MediaHead, token: Credential) -> MediaHead:
    """Return the head of a file with the token cut out of what WeCom's headers say."""
    value = token.value.reveal()
    if not TOKEN.fullmatch(value):
        return head
    name = cut_out(value, head.file_name.encode(errors="replace")).decode()
    # aiohttp writes types in lower case.
    shows = value.lower() in head.content_type.lower()
    return MediaHead(name, BYTES if shows else head.content_type, head.size)


def _redacted(answer: Answer, token: Credential) -> ApiAnswer:
    """Return the answer with the token cut out."""
    value = token.value.reveal()
    errmsg = cut_out(value, str(answer.fields.get("errmsg", "")).encode()).decode()
    # The body has the whole errmsg; a second copy of it might not fit into the gRPC message.
    return ApiAnswer(answer.errcode, errmsg[:LONGEST_MESSAGE], cut_out(value, answer.body))
