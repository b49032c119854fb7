"""A file on its way from a caller to WeCom, piece by piece."""

import re
from collections.abc import AsyncIterator

import aiohttp

from broker.domain.errors import BrokerError, InvalidRequest
from broker.domain.ports.passthrough import MediaHead


def base_name(path: str) -> str:
    """Return a file's name without folders, of which neither side knows the other's."""
    name = re.split(r"[/\\]", path)[-1]
    return name.strip(".") and name


class Upload:
    """Hand the caller's pieces on, and keep what the caller did wrong: that says nothing of WeCom."""

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
        """Note that the time is over: the caller's fault if it was the one to wait for."""
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
