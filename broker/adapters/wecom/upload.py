"""A file that is streamed from a caller to WeCom."""

import re
from collections.abc import AsyncIterator

import aiohttp

from broker.domain.errors import BrokerError, InvalidRequest
from broker.domain.ports.passthrough import MediaHead

UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of a text: `exe.txt` may read as `txt.exe`."""
LONGEST_NAME = 255


def base_name(path: str) -> str:
    """Return a file's name without folders, drives and what cannot be seen: they are no part of a name."""
    name = UNSEEN.sub("", re.split(r"[/\\]", path)[-1])
    name = re.sub(r"^[A-Za-z]:", "", name).strip()[:LONGEST_NAME]
    return name.strip(".") and name


class Upload:
    """Pass the caller's chunks on, and record the caller's mistake: it says nothing about WeCom."""

    def __init__(self, head: MediaHead, chunks: AsyncIterator[bytes]) -> None:
        self._head = head
        self._chunks = chunks
        self._awaits_chunk = False
        self.fault: BrokerError | None = None

    def form(self) -> aiohttp.MultipartWriter:
        """Return the body of the request."""
        form = aiohttp.MultipartWriter("form-data")
        part = form.append(self._watched(), {"Content-Type": self._head.content_type})
        # WeCom reads the name as plain UTF-8; it does not know the percent-encoded form.
        part.set_content_disposition(
            "form-data", quote_fields=False, name="media", filename=base_name(self._head.file_name) or "file"
        )
        return form

    def note_timeout(self) -> None:
        """Record a timeout as the caller's fault if its next chunk was awaited."""
        if self._awaits_chunk:
            self.fault = InvalidRequest("chunk", "the next one did not come in time")

    async def _watched(self) -> AsyncIterator[bytes]:
        self._awaits_chunk = True
        try:
            async for chunk in self._chunks:
                self._awaits_chunk = False
                yield chunk
                self._awaits_chunk = True
        except BrokerError as error:
            self.fault = error
            raise
        self._awaits_chunk = False
