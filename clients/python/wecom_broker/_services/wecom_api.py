"""WeCom's other interfaces, called through the broker: it adds the token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from wecom_broker._services.media import MediaDownload, MediaHead, MediaUpload, pieces_of
from wecom_broker._spans import Span, positive_span
from wecom_broker._target import ShareKind, Target
from wecom_broker.v1 import wecom_api_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wecom_broker._connection.connection import Connection
    from wecom_broker._services.media import Content

TRANSFER_TIMEOUT = timedelta(minutes=5)
"""The default deadline of a whole file."""


class HttpMethod(StrEnum):
    """The HTTP method of a call."""

    GET = "GET"
    POST = "POST"


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What WeCom answered, whatever its errcode."""

    errcode: int
    """0 if the answer has none."""
    errmsg: str
    body: bytes = field(repr=False)
    """The body as received, without the token."""

    @classmethod
    def from_proto(cls, message: pb.CallApiResponse) -> Self:
        """Return the answer of a message."""
        return cls(message.errcode, message.errmsg, message.body)

    def json(self) -> Any:  # noqa: ANN401  only WeCom knows what it answers
        """Return the parsed body. Raises ValueError if it is not JSON."""
        return json.loads(self.body)


class WecomApi:
    """The part of the client that calls WeCom's other interfaces."""

    _connection: Connection

    async def call(
        self,
        app: str,
        path: str,
        *,
        corp: str = "",
        method: HttpMethod | str | None = None,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | bytes | None = None,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        timeout: Span | None = None,  # noqa: ASYNC109  it becomes gRPC's deadline, which WeCom's is cut to
        corp_id: None = None,
    ) -> ApiAnswer:
        """Call a path like `/cgi-bin/user/get` on behalf of `corp`; empty means the app's own.

        The broker adds the access token. If WeCom says that it is dead, the broker replaces it and calls
        once more; nothing else is repeated, because only the caller knows whether that is safe. An errcode is
        not raised as an error: check the answer's.

        Args:
            app: The app's name in the broker's configuration.
            path: Under `/cgi-bin/`; nothing that hands out tokens, tickets or sessions.
            corp: A child corp that the app is shared with.
            method: The default is POST with a body, GET without.
            query: Without `access_token`. A bool is sent as 1 or 0, as WeCom expects.
            body: A mapping is sent as JSON, bytes unchanged.
            share_kind: Needed where the child has the app through both kinds.
            agent_id: Needed to choose among several agents of one child.
            timeout: The default is the client's.
            corp_id: Not an argument: the corp is given as `corp`.

        Raises BrokerError.

        """
        request = pb.CallApiRequest(
            target=Target.of(app, corp, share_kind, agent_id, corp_id).to_proto(),
            method=_METHOD_NUMBERS[None if method is None else HttpMethod(method)],
            path=path,
            query={name: _plain(value) for name, value in (query or {}).items()},
            body=_encoded(body),
        )
        deadline = None if timeout is None else positive_span("timeout", timeout)
        response = await self._connection.call(self._connection.stubs.wecom_api.CallApi, request, deadline)
        return ApiAnswer.from_proto(response)

    async def upload_media(
        self,
        app: str,
        kind: str,
        file_name: str,
        content: Content,
        corp: str = "",
        *,
        content_type: str = "",
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        timeout: Span = TRANSFER_TIMEOUT,  # noqa: ASYNC109  as above
        corp_id: None = None,
    ) -> MediaUpload:
        """Send a file to WeCom in pieces, and return its media_id, valid for three days.

        `kind` is image, voice, video or file. `content` is bytes, the path of a file, an open file, or an
        iterable or async iterable of bytes; all but an async iterable is read in a thread beside the loop.
        An upload is never repeated. An errcode is not raised as an error: check the answer's.

        Raises BrokerError, and what the content raises.
        """
        head = pb.UploadMediaRequest(
            target=Target.of(app, corp, share_kind, agent_id, corp_id).to_proto(),
            type=kind,
            file_name=file_name,
            content_type=content_type,
        )
        response = await self._connection.send(
            self._connection.stubs.wecom_api.UploadMedia,
            _messages(head, content),
            positive_span("timeout", timeout),
        )
        return MediaUpload.from_proto(response)

    @asynccontextmanager
    async def download_media(
        self,
        app: str,
        media_id: str,
        corp: str = "",
        *,
        share_kind: ShareKind | str | None = None,
        agent_id: int = 0,
        timeout: Span = TRANSFER_TIMEOUT,  # noqa: ASYNC109  as above
        corp_id: None = None,
    ) -> AsyncGenerator[MediaDownload]:
        """Download a file from WeCom, for `async with`: its head, then its pieces as they arrive.

            async with broker.download_media("crm", media_id) as download:
                print(download.head.file_name)
                async for piece in download:
                    ...

        Leaving the block ends the transfer. Raises BrokerError, also in the middle of a file.
        """
        request = pb.DownloadMediaRequest(
            target=Target.of(app, corp, share_kind, agent_id, corp_id).to_proto(),
            media_id=media_id,
        )
        transfer = self._connection.receive(
            self._connection.stubs.wecom_api.DownloadMedia,
            request,
            positive_span("timeout", timeout),
        )
        async with aclosing(transfer) as messages:
            first = await anext(messages, pb.DownloadMediaResponse())
            async with aclosing(_pieces(first, messages)) as pieces:
                yield MediaDownload(MediaHead.from_proto(first), pieces)


async def _messages(head: pb.UploadMediaRequest, content: Content) -> AsyncGenerator[pb.UploadMediaRequest]:
    yield head
    async with aclosing(pieces_of(content)) as pieces:
        async for piece in pieces:
            yield pb.UploadMediaRequest(chunk=piece)


async def _pieces(
    first: pb.DownloadMediaResponse,
    messages: AsyncGenerator[pb.DownloadMediaResponse],
) -> AsyncGenerator[bytes]:
    if first.chunk:
        yield first.chunk
    async for message in messages:
        yield message.chunk


def _plain(value: str | int) -> str:
    return value if isinstance(value, str) else f"{value:d}"


def _encoded(body: Mapping[str, object] | bytes | None) -> bytes:
    if body is None or isinstance(body, bytes):
        return body or b""
    if not isinstance(body, Mapping):
        raise TypeError(f"body must be a mapping or bytes, not {type(body).__name__}")
    # Some of WeCom's interfaces show \u4f60 to people unchanged: Chinese must not be escaped.
    return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


_METHOD_NUMBERS = {
    None: pb.HTTP_METHOD_UNSPECIFIED,
    HttpMethod.GET: pb.HTTP_METHOD_GET,
    HttpMethod.POST: pb.HTTP_METHOD_POST,
}
