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


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What WeCom answered, as it came; the token is cut out."""

    errcode: int
    errmsg: str
    body: bytes


@dataclass(frozen=True, slots=True)
class MediaHead:
    """What a file is."""

    file_name: str
    content_type: str
    size: int = 0


class WecomPassthrough(Protocol):
    """WeCom's other interfaces; an errcode is an answer there.

    Raises `RetryLater`, `WecomProtocol`, `AnswerTooLarge`, and `InvalidRequest` for what WeCom does not have.
    """

    async def call(self, token: Credential, call: ApiCall) -> ApiAnswer:
        """Send one call, once."""

    async def upload(
        self, token: Credential, kind: str, head: MediaHead, chunks: AsyncIterator[bytes]
    ) -> tuple[ApiAnswer, str]:
        """Send a file piece by piece; return the answer and the media_id."""

    def download(self, token: Credential, media_id: str) -> AsyncGenerator[MediaHead | bytes, None]:
        """Yield what the file is, then its pieces. Raises what an errcode means."""
