"""What an installation returns to whoever made it."""

from dataclasses import dataclass, field
from enum import StrEnum


class Door(StrEnum):
    """Name where a corp installs from, so that the provider is told by create_auth (wecom-api B5)."""

    MARKET = "market"
    QR = "qr"
    """A QR code (二维码) of the provider's; the only way to install a 代开发 template."""
    MEMBER = "member"
    """成员授权: a member, for themselves."""


@dataclass(frozen=True, slots=True)
class Install:
    """Hold what an installation hands out."""

    auth_code: str = field(repr=False)
    corp_id: str
    """As the provider knows the corp."""
    redirect: str = field(default="", repr=False)
    """Where the browser goes after an install by link."""
