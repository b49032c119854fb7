"""WeCom's other endpoints, called on behalf of a service."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from broker.domain.credentials import Credential


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A call of any interface of WeCom, without its token."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    body: bytes
    caller: str = ""


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """WeCom's answer as it came, except that the token is removed."""

    errcode: int
    errmsg: str
    body: bytes


@dataclass(frozen=True, slots=True)
class MediaHead:
    """A file's name, type and size."""

    file_name: str
    content_type: str
    size: int = 0


class WecomPassthrough(Protocol):
    """WeCom's other interfaces; an errcode counts as an answer there, not as an error.

    Raises `RetryLater`, `WecomProtocol`, `AnswerTooLarge`, and `InvalidRequest` for what WeCom does not have.
    """

    async def call(self, token: Credential, call: ApiCall) -> ApiAnswer:
        """Send one call, once."""

    async def upload(
        self, token: Credential, kind: str, head: MediaHead, chunks: AsyncIterator[bytes]
    ) -> tuple[ApiAnswer, str]:
        """Send a file piece by piece; return the answer and the media_id."""

    def download(self, token: Credential, media_id: str) -> AsyncGenerator[MediaHead | bytes, None]:
        """Yield the file's head, then its pieces. Raises the error that an errcode means."""
