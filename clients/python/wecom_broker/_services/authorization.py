"""A corp's authorisation of a suite, as callers see it: without its permanent code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from wecom_broker._target import SHARE_KINDS, ShareKind
from wecom_broker.v1 import suite_service_pb2 as pb


class AuthorizationState(StrEnum):
    """Where an authorisation stands; `problem` says what to do."""

    ACTIVE = "active"
    PENDING = "pending"
    """A code is taken, and its exchange is outstanding."""
    LOST = "lost"
    """A code was spent, and the answer was lost: install the app again, or press 重新获取secret."""
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    """WeCom refuses the permanent code: the corp must authorise the app again."""
    CANCELLED = "cancelled"


class AuthMode(StrEnum):
    """Who authorised the suite."""

    ADMIN = "admin"
    """An administrator (管理员授权)."""
    MEMBER = "member"
    """A member, for themself (成员授权)."""


@dataclass(frozen=True, slots=True)
class SharedFrom:
    """The parent whose share installed the app."""

    corp_id: str
    share_kind: ShareKind | None
    """None for a kind that is newer than this client."""


@dataclass(frozen=True, slots=True)
class Edition:
    """What a corp paid for."""

    edition_id: str
    edition_name: str
    app_status: int
    """WeCom's number, 0 to 7."""
    user_limit: int
    expire_time: datetime | None
    shared_from_other_corp: bool
    """Whether another corp of the group paid for it (下级企业付费版本)."""

    @classmethod
    def from_proto(cls, message: pb.Edition) -> Self:
        """Return the edition of a message."""
        return cls(
            edition_id=message.edition_id,
            edition_name=message.edition_name,
            app_status=message.app_status,
            user_limit=message.user_limit,
            expire_time=_expire_time(message),
            shared_from_other_corp=message.shared_from_other_corp,
        )


@dataclass(frozen=True, slots=True)
class Permission:
    """An interface that the corp allows the app to call."""

    name: str
    expire_time: datetime | None
    """When a data permission (数据权限) ends; None for one without an end."""


@dataclass(frozen=True, slots=True)
class AuthorizedAgent:
    """The app as it is in the corp."""

    agent_id: int
    name: str
    edition: Edition | None
    """None for an app that is not sold in editions."""
    shared_from: SharedFrom | None
    """None where no share installed the app."""
    permissions: tuple[Permission, ...]

    @classmethod
    def from_proto(cls, message: pb.AuthorizedAgent) -> Self:
        """Return the agent of a message."""
        parent = message.shared_from
        return cls(
            agent_id=message.agent_id,
            name=message.name,
            edition=Edition.from_proto(message.edition) if message.HasField("edition") else None,
            shared_from=SharedFrom(parent.corp_id, SHARE_KINDS.get(parent.share_kind))
            if message.HasField("shared_from")
            else None,
            permissions=tuple(Permission(each.name, _expire_time(each)) for each in message.permissions),
        )


@dataclass(frozen=True, slots=True)
class Authorization:
    """One corp's authorisation of one suite, or a code that has not become one."""

    app: str
    corp_id: str
    """Empty while an exchange is outstanding or lost: no code names its corp."""
    corp_name: str
    state: AuthorizationState | None
    """None for a state that is newer than this client."""
    agents: tuple[AuthorizedAgent, ...]
    """Empty where the app has no agent in the corp, or is not read yet."""
    auth_mode: AuthMode | None
    installer_user_id: str
    """Empty for installs by a share."""
    install_state: str
    """The state of the link or QR code that installed it."""
    install_time: datetime
    update_time: datetime
    problem: str
    """Why it is not active, and what to do."""
    installation_id: str
    """Names the code that it came from: a row with a corp takes the place of the one without."""

    @classmethod
    def from_proto(cls, message: pb.Authorization) -> Self:
        """Return the authorisation of a message."""
        return cls(
            app=message.app,
            corp_id=message.corp_id,
            corp_name=message.corp_name,
            state=_STATES.get(message.state),
            agents=tuple(AuthorizedAgent.from_proto(agent) for agent in message.agents),
            auth_mode=_MODES.get(message.auth_mode),
            installer_user_id=message.installer_user_id,
            install_state=message.install_state,
            install_time=message.install_time.ToDatetime(UTC),
            update_time=message.update_time.ToDatetime(UTC),
            problem=message.problem,
            installation_id=message.installation_id,
        )


def _expire_time(message: pb.Edition | pb.Permission) -> datetime | None:
    return message.expire_time.ToDatetime(UTC) if message.HasField("expire_time") else None


_STATES: dict[int, AuthorizationState] = {
    pb.AUTHORIZATION_STATE_ACTIVE: AuthorizationState.ACTIVE,
    pb.AUTHORIZATION_STATE_PENDING: AuthorizationState.PENDING,
    pb.AUTHORIZATION_STATE_LOST: AuthorizationState.LOST,
    pb.AUTHORIZATION_STATE_REAUTHORIZATION_REQUIRED: AuthorizationState.REAUTHORIZATION_REQUIRED,
    pb.AUTHORIZATION_STATE_CANCELLED: AuthorizationState.CANCELLED,
}

_MODES: dict[int, AuthMode] = {
    pb.AUTH_MODE_ADMIN: AuthMode.ADMIN,
    pb.AUTH_MODE_MEMBER: AuthMode.MEMBER,
}
