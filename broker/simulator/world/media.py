"""Files that are kept for three days: 临时素材, shared by all apps of a corp."""

from collections.abc import Callable
from dataclasses import dataclass, field

from broker.simulator.answers import Refusal

MOST_BYTES = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}
_LEAST_BYTES = 6
_LIFETIME = 3 * 86400.0


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """Hold a file as it was uploaded."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Medium:
    """Hold one stored file."""

    corpid: str
    file: UploadedFile
    expires_at: float


class MediaStore:
    """Hold the uploaded files."""

    def __init__(self, mint: Callable[[], str]) -> None:
        self._mint = mint
        self._media: dict[str, Medium] = {}

    def add(self, corpid: str, kind: str, file: UploadedFile, now: float) -> str:
        """Store a file of an allowed size, and return its media_id."""
        if kind not in MOST_BYTES:
            raise Refusal(40004)
        if not file.content:
            raise Refusal(44001)
        if not _LEAST_BYTES <= len(file.content) <= MOST_BYTES[kind]:
            raise Refusal(40006)
        media_id = self._mint()
        self._media[media_id] = Medium(corpid, file, now + _LIFETIME)
        return media_id

    def find(self, corpid: str, media_id: str, now: float) -> UploadedFile:
        """Find a file of the corp."""
        medium = self._media.get(media_id)
        if medium is None or medium.corpid != corpid or now >= medium.expires_at:
            raise Refusal(40007)
        return medium.file
