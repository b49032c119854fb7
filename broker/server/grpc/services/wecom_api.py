"""`WecomApiService`: WeCom's other interfaces."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing

from wecom_broker.v1 import wecom_api_service_pb2 as pb
from wecom_broker.v1 import wecom_api_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.apps import Target
from broker.domain.errors import InvalidRequest
from broker.domain.ports.passthrough import ApiCall, MediaHead
from broker.protocol.api_paths import DOWNLOAD, LONGEST_PATH, UPLOAD
from broker.server.grpc import messages
from broker.server.grpc.context import Context
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.rights import Of, Rights, requires
from broker.usecases.api_calls import ApiCalls

FILE_NAME = re.compile(r'[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,255}')
CONTENT_TYPE = re.compile(r"([A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+)?")
LARGEST_CHUNK = 1024 * 1024
LEAVING_SECONDS = 0.02
METHODS = {pb.HTTP_METHOD_GET: "GET", pb.HTTP_METHOD_POST: "POST"}


class WecomApiServicer(pb_grpc.WecomApiServiceServicer):
    """Parse, check the path's rights, ask `ApiCalls`, reply."""

    def __init__(self, calls: ApiCalls, rights: Rights) -> None:
        self._calls = calls
        self._rights = rights

    @requires(Action.API_CALL, of=Of.HANDLER)
    async def CallApi(self, request: pb.CallApiRequest, context: Context) -> pb.CallApiResponse:
        """Pass a call on, and its answer back."""
        target = messages.target(request.target)
        self._check(target, request.path)
        query, caller = tuple(request.query.items()), current_caller.get().name
        call = ApiCall(_method(request), request.path, query, request.body, caller)
        answer = await self._calls.call(target, call)
        return pb.CallApiResponse(errcode=answer.errcode, errmsg=answer.errmsg, body=answer.body)

    @requires(Action.API_CALL, of=Of.HANDLER)
    async def UploadMedia(
        self, request: AsyncIterator[pb.UploadMediaRequest], context: Context
    ) -> pb.UploadMediaResponse:
        """Pass a file on, chunk by chunk."""
        first = await anext(aiter(request), None)
        if first is None:
            raise InvalidRequest("target", "is required in the first message")
        target = messages.target(first.target)
        self._check(target, UPLOAD)
        if not FILE_NAME.fullmatch(first.file_name):
            raise InvalidRequest("file_name", "must be 1 to 255 characters, no quotes or control characters")
        if not CONTENT_TYPE.fullmatch(first.content_type):
            raise InvalidRequest("content_type", "is not a MIME type")
        head = MediaHead(first.file_name, first.content_type or "application/octet-stream")
        answer, media_id = await self._calls.upload(target, first.type, head, _chunks(first, request))
        return pb.UploadMediaResponse(errcode=answer.errcode, errmsg=answer.errmsg, media_id=media_id)

    @requires(Action.API_CALL, of=Of.HANDLER)
    async def DownloadMedia(
        self, request: pb.DownloadMediaRequest, context: Context
    ) -> AsyncIterator[pb.DownloadMediaResponse]:
        """Pass a file back, chunk by chunk."""
        target = messages.target(request.target)
        self._check(target, DOWNLOAD)
        async with aclosing(self._calls.download(target, request.media_id)) as pieces:
            async for piece in pieces:
                if isinstance(piece, MediaHead):
                    yield pb.DownloadMediaResponse(
                        content_type=piece.content_type, file_name=piece.file_name, size_bytes=piece.size
                    )
                else:
                    yield pb.DownloadMediaResponse(chunk=piece)

    def _check(self, target: Target, path: str) -> None:
        # The use case refuses a path that is empty or too long by its field.
        self._rights.grant(target.app, target.corp_id, path[: LONGEST_PATH + 1] or "/")


def _method(request: pb.CallApiRequest) -> str:
    if request.method == pb.HTTP_METHOD_UNSPECIFIED:
        return "POST" if request.body else "GET"
    if request.method not in METHODS:
        raise InvalidRequest("method", "must be GET or POST")
    return METHODS[request.method]


async def _chunks(
    first: pb.UploadMediaRequest, rest: AsyncIterator[pb.UploadMediaRequest]
) -> AsyncIterator[bytes]:
    """Yield the chunks of the file as they arrive. Raises `InvalidRequest`."""
    if first.chunk:
        yield _checked(first.chunk)
    async for message in rest:
        if message.chunk:
            yield _checked(message.chunk)
    # In gRPC a caller who left looks like one who is done, until the cancellation comes a moment later:
    # the chunks sent so far must not reach WeCom as a whole file.
    await asyncio.sleep(LEAVING_SECONDS)


def _checked(chunk: bytes) -> bytes:
    if len(chunk) > LARGEST_CHUNK:
        raise InvalidRequest("chunk", f"must be at most {LARGEST_CHUNK} bytes")
    return chunk
