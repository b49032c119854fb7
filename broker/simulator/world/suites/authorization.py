"""What one corp granted to one suite (授权)."""

from dataclasses import dataclass, field
from enum import IntEnum

from broker.simulator.world.corps import AppId
from broker.simulator.world.shares import BusinessType

_YEAR = 365 * 86400


class AuthMode(IntEnum):
    """Number who authorised, as WeCom does."""

    ADMIN = 0
    MEMBER = 1
    """成员授权: a member for themselves."""


@dataclass(frozen=True, slots=True)
class SharedFrom:
    """Name the parent corp whose share caused an installation."""

    corpid: str
    business_type: BusinessType


@dataclass(frozen=True, slots=True)
class Edition:
    """Hold the edition (应用版本) that a corp has paid for, or tries."""

    edition_id: str = "RLS9001"
    edition_name: str = "标准版"
    app_status: int = 3
    user_limit: int = 300
    expired_time: int = 0
    is_virtual_version: bool = False

    @classmethod
    def bought(cls, now: float) -> "Edition":
        """Return the edition that runs for a year."""
        return cls(expired_time=int(now) + _YEAR)


@dataclass(slots=True)
class Authorization:
    """Hold one authorisation; `corpid` is the plain one."""

    suite_id: str
    corpid: str
    agentid: int
    permanent_code: str = field(repr=False)
    created_at: float
    auth_mode: AuthMode = AuthMode.ADMIN
    installer: str = ""
    """The userid of the admin or member who installed it; empty for installs by a share."""
    shared_from: SharedFrom | None = None
    edition: Edition | None = None
    permissions: dict[str, float | None] = field(default_factory=dict)
    """Names, and when each ends, if ever (agent/get_permissions)."""
    active: bool = True
    exchanged: bool = False
    """Whether the provider has fetched the permanent code."""
    old_code: str = field(default="", repr=False)
    """The permanent code before a reset, while it still works."""

    @property
    def app(self) -> AppId:
        """Return the app in that corp."""
        return AppId(self.corpid, self.agentid)

    def opens(self, permanent_code: str) -> bool:
        """Return whether this is its permanent code."""
        return permanent_code in (self.permanent_code, self.old_code) and bool(permanent_code)
