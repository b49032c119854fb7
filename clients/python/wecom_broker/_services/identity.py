"""Identifies visitors of a page: the link that sends them to WeCom, and the user who comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from wecom_broker._target import corp_of
from wecom_broker.v1 import identity_service_pb2 as pb

if TYPE_CHECKING:
    from wecom_broker._connection.connection import Connection


class OauthScope(StrEnum):
    """What a link asks the visitor for."""

    BASE = "base"
    """snsapi_base: silent; identifies the user only."""
    PRIVATE_INFO = "private_info"
    """snsapi_privateinfo: the user has to agree; returns a `user_ticket` too."""


class UserKind(StrEnum):
    """The relation of a user to the corp."""

    OWN_MEMBER = "own_member"
    """A member of the app's own corp."""
    CHILD_MEMBER = "child_member"
    """A member of a child corp (下级企业)."""
    EXTERNAL_CONTACT = "external_contact"
    """A customer of a member (外部联系人)."""
    NON_MEMBER = "non_member"
    """Somebody whom the corp does not know."""


@dataclass(frozen=True, slots=True)
class AuthorizeUrl:
    """Where to send a visitor, and the state that must come back with the code."""

    url: str
    state: str
    """Store it in the visitor's session, and compare: a code with another state is not this visitor's."""


@dataclass(frozen=True, slots=True)
class User:
    """The user who came back with a code."""

    corp_id: str
    """The member's corp; empty for external contacts and non-members."""
    user_id: str
    """The member's id in that corp."""
    kind: UserKind | None
    """None for a kind that is newer than this client."""
    external_user_id: str
    open_id: str
    user_ticket: str = field(repr=False)
    """A secret for `user_profile`, valid for half an hour; only with `OauthScope.PRIVATE_INFO`."""
    corp_unknown: bool
    """True where the corp of a child's member is not in the share list, even after a new listing."""

    @classmethod
    def from_proto(cls, message: pb.User) -> Self:
        """Return the user of a message."""
        return cls(
            corp_id=message.corp_id,
            user_id=message.user_id,
            kind=_USER_KINDS.get(message.kind),
            external_user_id=message.external_user_id,
            open_id=message.open_id,
            user_ticket=message.user_ticket,
            corp_unknown=message.corp_unknown,
        )


@dataclass(frozen=True, slots=True)
class UserProfile:
    """What a user agreed to show; the rest is empty. Its repr shows no personal data."""

    corp_id: str
    user_id: str
    gender: str = field(repr=False)
    avatar: str = field(repr=False)
    qr_code: str = field(repr=False)
    mobile: str = field(repr=False)
    email: str = field(repr=False)
    biz_mail: str = field(repr=False)
    address: str = field(repr=False)

    @classmethod
    def from_proto(cls, message: pb.UserProfile) -> Self:
        """Return the profile of a message."""
        return cls(
            corp_id=message.corp_id,
            user_id=message.user_id,
            gender=message.gender,
            avatar=message.avatar,
            qr_code=message.qr_code,
            mobile=message.mobile,
            email=message.email,
            biz_mail=message.biz_mail,
            address=message.address,
        )


class Identity:
    """The part of the client that identifies the visitors of a page (网页授权登录)."""

    _connection: Connection

    async def authorize_url(
        self,
        app: str,
        redirect_uri: str,
        *,
        scope: OauthScope | str = OauthScope.BASE,
        state: str = "",
        corp: str = "",
        corp_id: None = None,
    ) -> AuthorizeUrl:
        """Return the link that sends a visitor to WeCom and back to `redirect_uri` with a code.

        It is the same for visitors from every corp; only a 代开发 app that several corps have authorised
        has one for each `corp`. `state` is letters and digits, at most 128; an
        unguessable one is generated when it is empty. Raises BrokerError.
        """
        request = pb.BuildAuthorizeUrlRequest(
            app=app,
            corp_id=corp_of(corp, corp_id),
            redirect_uri=redirect_uri,
            scope=_SCOPE_NUMBERS[OauthScope(scope)],
            state=state,
        )
        response = await self._connection.call(self._connection.stubs.identity.BuildAuthorizeUrl, request)
        return AuthorizeUrl(response.url, response.state)

    async def user_from_code(self, app: str, code: str, *, corp: str = "", corp_id: None = None) -> User:
        """Return the user who came back with the code. Raises CodeRejected, BrokerError.

        A code works once, so it is sent once: after any error, send the visitor to WeCom for a new one.
        `corp` is the one that the link was made for.
        """
        request = pb.ExchangeAuthCodeRequest(app=app, code=code, corp_id=corp_of(corp, corp_id))
        response = await self._connection.call(self._connection.stubs.identity.ExchangeAuthCode, request)
        return User.from_proto(response.user)

    async def user_profile(
        self, app: str, user_ticket: str, *, corp: str = "", corp_id: None = None
    ) -> UserProfile:
        """Return what the user of a `user_ticket` agreed to show. Raises BrokerError.

        `corp` is the one that the link was made for.
        """
        request = pb.GetUserProfileRequest(app=app, user_ticket=user_ticket, corp_id=corp_of(corp, corp_id))
        response = await self._connection.call(self._connection.stubs.identity.GetUserProfile, request)
        return UserProfile.from_proto(response.profile)


_SCOPE_NUMBERS = {
    OauthScope.BASE: pb.OAUTH_SCOPE_BASE,
    OauthScope.PRIVATE_INFO: pb.OAUTH_SCOPE_PRIVATE_INFO,
}

_USER_KINDS: dict[int, UserKind] = {
    pb.USER_KIND_OWN_MEMBER: UserKind.OWN_MEMBER,
    pb.USER_KIND_CHILD_MEMBER: UserKind.CHILD_MEMBER,
    pb.USER_KIND_EXTERNAL_CONTACT: UserKind.EXTERNAL_CONTACT,
    pb.USER_KIND_NON_MEMBER: UserKind.NON_MEMBER,
}
