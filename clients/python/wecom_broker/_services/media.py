"""Files of WeCom (临时素材), sent in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from wecom_broker.v1 import wecom_api_service_pb2


@runtime_checkable
class Readable(Protocol):
    """An open file."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none at the end."""


_InMemory: TypeAlias = "bytes | bytearray | memoryview"
Content: TypeAlias = "_InMemory | str | PathLike[str] | Readable | Iterable[bytes] | AsyncIterable[bytes]"
"""The types in which a file to upload may be given."""

PIECE = 256 * 1024
"""The most bytes in one message. The broker accepts up to 1 MiB."""


@dataclass(frozen=True, slots=True)
class MediaUpload:
    """What WeCom answered to an upload, whatever its errcode."""

    errcode: int
    errmsg: str
    media_id: str
    """Valid for three days; empty where WeCom refused."""

    @classmethod
    def from_proto(cls, message: wecom_api_service_pb2.UploadMediaResponse) -> Self:
        """Return the answer in a message."""
        return cls(message.errcode, message.errmsg, message.media_id)


@dataclass(frozen=True, slots=True)
class MediaHead:
    """The description of a file."""

    content_type: str
    file_name: str
    size_bytes: int | None
    """None where WeCom does not say."""

    @classmethod
    def from_proto(cls, message: wecom_api_service_pb2.DownloadMediaResponse) -> Self:
        """Return the head in the first message of a download."""
        return cls(message.content_type, message.file_name, message.size_bytes or None)


class MediaDownload:
    """A download in progress: the file's head, and its pieces, which can be read once."""

    def __init__(self, head: MediaHead, pieces: AsyncGenerator[bytes]) -> None:
        """Keep the head; the pieces are read on demand."""
        self.head = head
        self.pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces as they arrive. Raises BrokerError."""
        return self.pieces

    async def read(self) -> bytes:
        """Return all that is left. Raises BrokerError."""
        return b"".join([piece async for piece in self.pieces])


async def pieces_of(content: Content) -> AsyncGenerator[bytes]:
    """Yield the content in pieces that fit into a message. Raises what reading raises."""
    async for data in content if isinstance(content, AsyncIterable) else _beside(_parts(content)):
        for start in range(0, len(data), PIECE):
            yield bytes(data[start : start + PIECE])


async def _beside(parts: Iterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield the parts, read in a thread, so that a slow disk does not block the loop."""
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        yield part


def _parts(content: _InMemory | str | PathLike[str] | Readable | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(content, bytes | bytearray | memoryview):
        yield bytes(content)
    elif isinstance(content, str | PathLike):
        with Path(content).open("rb") as file:
            yield from _parts(file)
    elif isinstance(content, Readable):
        while part := content.read(PIECE):
            yield part
    else:
        yield from content
