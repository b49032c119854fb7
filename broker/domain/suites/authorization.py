"""One corp's authorisation of one suite."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.secret import Secret
from broker.domain.suites.suite import Suite

CANCELLED_KEPT = timedelta(days=30)
"""How long operators see that a corp cancelled."""

AuthorizationKey = tuple[str, str]
"""The suite's name and the corp's id, which are compared exactly: encrypted ids have case (wecom-api G37)."""


class AuthorizationState(StrEnum):
    """Where an authorisation stands."""

    ACTIVE = "active"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    """WeCom refuses the permanent code: the corp must authorise again."""
    CANCELLED = "cancelled"
    """The corp cancelled; nothing is kept but the fact."""


class AuthMode(StrEnum):
    """Who authorised: an administrator (管理员授权) or a member (成员授权)."""

    ADMIN = "admin"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class SharedFrom:
    """The parent whose share installed the app (wecom-api B6, H6)."""

    corp_id: str
    share_kind: ShareKind


@dataclass(frozen=True, slots=True)
class Edition:
    """What a corp paid for (wecom-api B7)."""

    edition_id: str
    edition_name: str
    app_status: int
    user_limit: int
    expires_at: datetime | None
    shared_from_other_corp: bool
    """Whether another corp of the group paid (下级企业付费版本)."""


@dataclass(frozen=True, slots=True)
class Permission:
    """An interface that the corp allows; a data permission ends (wecom-api C4, J)."""

    name: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuthorizedAgent:
    """The app as it is in the corp; not every authorisation has one (wecom-api B6)."""

    agent_id: int
    name: str = ""
    edition: Edition | None = None
    shared_from: SharedFrom | None = None
    permissions: tuple[Permission, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorization:
    """What is known of one corp's authorisation. Its permanent code is the corp's key to the app."""

    suite: str
    corp_id: str
    fence: int
    """The fencing number of the commit that wrote it."""
    state: AuthorizationState
    permanent_code: Secret | None = field(repr=False)
    """None for a cancelled one."""
    code_hash: str
    """The hash of the auth_code that it came from, which proves that the code's exchange was not lost."""
    installed_at: datetime
    """When the code was taken: by WeCom's TimeStamp, or when the redirect arrived."""
    updated_at: datetime
    corp_name: str = ""
    agents: tuple[AuthorizedAgent, ...] = ()
    auth_mode: AuthMode | None = None
    installer_user_id: str = ""
    """Empty for installs by a share (wecom-api B6)."""
    install_state: str = ""
    problem: str = ""
    """Why it is not active."""
    shares: bool = False
    """Whether the corp is known to share the app with children."""
    is_stale: bool = False
    """Whether its details must be read at WeCom: they never were, or have changed."""
    cancelled_at: datetime | None = None
    """When the corp last cancelled, by WeCom's TimeStamp; None once WeCom has confirmed it since."""
    code_fence: int = 0
    """The fence of the commit that first had this permanent code, or that ended the one before."""
    are_children_stale: bool = False
    """Whether the corps that it shares the app with must be marked as stale, too (wecom-api C4)."""
    identity: str = ""
    """The suite's (`App.identity`)."""

    @property
    def key(self) -> AuthorizationKey:
        """Return the suite and the corp."""
        return (self.suite, self.corp_id)

    @property
    def is_usable(self) -> bool:
        """Return whether calls may be made with the permanent code."""
        return self.state is AuthorizationState.ACTIVE and self.permanent_code is not None

    @property
    def agent_id(self) -> int:
        """Return the agent id of the corp's first agent; 0 if it has none, or is not read yet."""
        return self.agents[0].agent_id if self.agents else 0

    @property
    def permission_ends(self) -> list[datetime]:
        """Return when permissions end, of those that do."""
        ends = (permission.expires_at for agent in self.agents for permission in agent.permissions)
        return [end for end in ends if end]

    @property
    def shared_from(self) -> SharedFrom | None:
        """Return the parent whose share installed the app."""
        return next((agent.shared_from for agent in self.agents if agent.shared_from), None)

    def has_ended(self, now: datetime) -> bool:
        """Return whether nobody needs to know of it any more."""
        return self.state is AuthorizationState.CANCELLED and now >= self.updated_at + CANCELLED_KEPT

    def cancelled(self) -> "Authorization":
        """Return what is left when the corp has cancelled."""
        return Authorization(
            suite=self.suite,
            corp_id=self.corp_id,
            fence=self.fence,
            state=AuthorizationState.CANCELLED,
            permanent_code=None,
            code_hash="",
            installed_at=self.installed_at,
            updated_at=self.updated_at,
            # Their numbers are needed until the tokens are removed.
            agents=tuple(AuthorizedAgent(agent.agent_id) for agent in self.agents),
            problem="the corp cancelled",
            is_stale=True,
            cancelled_at=self.cancelled_at,
            identity=self.identity,
        )

    def app(self, suite: Suite, agent_id: int = 0) -> App:
        """Return the app in this corp. Raises `LookupError` if it has no permanent code."""
        if self.permanent_code is None:
            raise LookupError(f"{self.suite} has no permanent code of {self.corp_id}")
        agent = agent_id or self.agent_id
        return App(
            suite.name,
            suite.kind,
            self.corp_id,
            agent,
            self.permanent_code,
            suite.share_kinds,
            suite.suite_id,
        )

    @staticmethod
    def name_of(key: AuthorizationKey) -> str:
        """Return the authorisation's name in stores, leases and notices."""
        suite, corp_id = key
        return f"authorization:{suite}:{corp_id}"

    def reconciled(self, other: "Authorization") -> "Authorization":
        """Return the newer one, of two as new the other; but never with the older permanent code.

        A replica that was cut off from the store may have a code that the others did not know when they
        wrote, and WeCom tells it once.
        """
        newer, older = (self, other) if self.fence > other.fence else (other, self)
        if older.code_fence > newer.code_fence:
            are_children_stale = newer.are_children_stale
            return replace(older, fence=newer.fence + 1, is_stale=True, are_children_stale=are_children_stale)
        return newer

    def is_worth_sharing(self, now: datetime) -> bool:
        """Return whether a store that lost it should have it back: WeCom tells a permanent code once."""
        return not self.has_ended(now)
