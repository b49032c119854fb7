"""Third-party suites (第三方应用) and 代开发: how corps authorise them, and which did."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from wecom_broker._services.authorization import Authorization
from wecom_broker._target import corp_of
from wecom_broker.v1 import suite_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wecom_broker._connection.connection import Connection


@dataclass(frozen=True, slots=True)
class InstallUrl:
    """Where an administrator installs a suite, and the state that must come back with the code."""

    url: str
    state: str
    """Compare it with the one that comes back. The authorisation has it as `install_state` too."""
    expire_time: datetime
    """When the link ends."""


@dataclass(frozen=True, slots=True)
class AuthorizationChange:
    """Some authorisations, as they are now."""

    authorizations: tuple[Authorization, ...]
    snapshot: bool
    """Whether these are part of the current state; the first such message replaces everything before it."""
    snapshot_complete: bool
    """True on the last message of a snapshot; a large one comes in several."""

    @classmethod
    def from_proto(cls, message: pb.WatchAuthorizationsResponse) -> Self:
        """Return the change of a message."""
        return cls(
            authorizations=tuple(map(Authorization.from_proto, message.authorizations)),
            snapshot=message.snapshot,
            snapshot_complete=message.snapshot_complete,
        )


class Suites:
    """The part of the client for suites. `app` is the suite's name in the broker's configuration."""

    _connection: Connection

    async def install_url(
        self, app: str, redirect_uri: str, *, state: str = "", test_install: bool = False
    ) -> InstallUrl:
        """Return the link that lets a corp's administrator install the suite.

        WeCom sends the administrator back to `redirect_uri` with an auth_code and the state. `state` is
        letters and digits, at most 128; an unguessable one is generated when it is empty. `test_install` is
        for suites that are not published yet. A 代开发 template has no such link: it is installed by a QR
        code (service/get_customized_auth_url, by `call`). Raises BrokerError.
        """
        request = pb.BuildInstallUrlRequest(
            app=app, redirect_uri=redirect_uri, state=state, test_install=test_install
        )
        response = await self._connection.call(self._connection.stubs.suites.BuildInstallUrl, request)
        return InstallUrl(response.url, response.state, response.expire_time.ToDatetime(UTC))

    async def complete_installation(self, app: str, auth_code: str, *, state: str = "") -> Authorization:
        """Exchange the auth_code that came with the redirect. Raises CodeRejected, BrokerError.

        A code works once, so it is sent once. The broker goes on with a code that it has taken even if this
        call fails: look for its `install_state` in `authorizations` before you have the app installed again.
        """
        request = pb.CompleteInstallationRequest(app=app, auth_code=auth_code, state=state)
        response = await self._connection.call(self._connection.stubs.suites.CompleteInstallation, request)
        return Authorization.from_proto(response.authorization)

    async def authorizations(self, app: str) -> AsyncGenerator[Authorization]:
        """Yield the authorisations that the broker knows, page by page; also codes without one.

        Raises BrokerError.
        """
        request = pb.ListAuthorizationsRequest(app=app)
        while True:
            page = await self._connection.call(self._connection.stubs.suites.ListAuthorizations, request)
            for message in page.authorizations:
                yield Authorization.from_proto(message)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def authorization(self, app: str, corp: str, *, corp_id: None = None) -> Authorization:
        """Return one corp's authorisation. Raises CorpNotAuthorized, BrokerError."""
        request = pb.GetAuthorizationRequest(app=app, corp_id=corp_of(corp, corp_id))
        response = await self._connection.call(self._connection.stubs.suites.GetAuthorization, request)
        return Authorization.from_proto(response.authorization)

    async def refresh_authorization(self, app: str, corp: str, *, corp_id: None = None) -> Authorization:
        """Have the broker read one corp's authorisation at WeCom again.

        Raises CorpNotAuthorized, ReauthorizationRequired, BrokerError.
        """
        request = pb.RefreshAuthorizationRequest(app=app, corp_id=corp_of(corp, corp_id))
        response = await self._connection.call(self._connection.stubs.suites.RefreshAuthorization, request)
        return Authorization.from_proto(response.authorization)

    async def watch_authorizations(self, app: str) -> AsyncGenerator[AuthorizationChange]:
        """Yield the current authorisations of a suite, then each change. Raises BrokerError.

        After a restart of the broker it sends a new snapshot, which replaces everything before it.
        """
        request = pb.WatchAuthorizationsRequest(app=app)
        watch = self._connection.follow(self._connection.stubs.suites.WatchAuthorizations, request)
        async with aclosing(watch) as changes:
            async for change in changes:
                yield AuthorizationChange.from_proto(change)
