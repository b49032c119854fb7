"""Files of WeCom (临时素材), for threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wecom_broker._services.media import MediaHead


class MediaDownload:
    """A download in progress: the file's head, and its pieces, which can be read once."""

    def __init__(self, head: MediaHead, pieces: Iterator[bytes]) -> None:
        """Keep the head; the pieces are read on demand."""
        self.head = head
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces as they arrive. Raises BrokerError."""
        return self._pieces

    def read(self) -> bytes:
        """Return all that is left. Raises BrokerError."""
        return b"".join(self._pieces)
