"""A file that is streamed from a caller to WeCom."""

import re
from collections.abc import AsyncIterator

import aiohttp

from broker.domain.errors import BrokerError, InvalidRequest
from broker.domain.ports.passthrough import MediaHead


def base_name(path: str) -> str:
    """Return a file's name without folders, which mean nothing on the other side."""
    name = re.split(r"[/\\]", path)[-1]
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
