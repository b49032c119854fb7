"""`SuiteService`: which corps authorised a suite, and how others do."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing

from wecom_broker.v1 import suite_service_pb2 as pb
from wecom_broker.v1 import suite_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.errors import InvalidRequest
from broker.domain.suites.view import AuthorizationView
from broker.server.grpc import messages, suite_messages
from broker.server.grpc.context import Context
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.rights import Of, Rights, requires
from broker.usecases.suites.links import InstallLinks
from broker.usecases.suites.overview import SuiteAuthorizations

LONGEST_CODE = 512
"""Bytes of an auth_code at most (wecom-api B5)."""


class SuiteServicer(pb_grpc.SuiteServiceServicer):
    """Parse, ask `SuiteAuthorizations` or `InstallLinks`, reply. Callers see the corps they may act for."""

    def __init__(self, authorizations: SuiteAuthorizations, links: InstallLinks, rights: Rights) -> None:
        self._authorizations = authorizations
        self._links = links
        self._rights = rights

    @requires(Action.SUITE_MANAGE, of=Of.HANDLER, operates=True)
    async def BuildInstallUrl(
        self, request: pb.BuildInstallUrlRequest, context: Context
    ) -> pb.BuildInstallUrlResponse:
        """Return the link for an administrator."""
        suite = messages.app_name("app", request.app)
        # Nobody knows yet which corp will install it.
        self._rights.grant_somewhere(suite)
        link = await self._links.build(
            suite, request.redirect_uri, request.state, test_install=request.test_install
        )
        return pb.BuildInstallUrlResponse(url=link.url, state=link.state, expire_time=link.expires_at)

    @requires(Action.SUITE_MANAGE, of=Of.HANDLER, operates=True)
    async def CompleteInstallation(
        self, request: pb.CompleteInstallationRequest, context: Context
    ) -> pb.CompleteInstallationResponse:
        """Exchange the code, and return the authorisation."""
        suite, code = messages.app_name("app", request.app), _auth_code(request.auth_code)
        # Only the answer names the corp; a caller without rights for any corp must not use up a code.
        self._rights.check_somewhere(suite)
        view = await self._authorizations.complete(suite, code, request.state)
        self._rights.grant(suite, view.corp_id)
        return pb.CompleteInstallationResponse(authorization=suite_messages.authorization(view))

    @requires(Action.SUITE_MANAGE, of=Of.HANDLER)
    async def ListAuthorizations(
        self, request: pb.ListAuthorizationsRequest, context: Context
    ) -> pb.ListAuthorizationsResponse:
        """Return one page of the authorisations."""
        suite = messages.app_name("app", request.app)
        self._rights.grant_somewhere(suite)
        visible = self._visible_in(await self._authorizations.list(suite))
        shown, token = messages.page(
            visible, _mark, suite_messages.authorization, request.page_size, request.page_token
        )
        return pb.ListAuthorizationsResponse(authorizations=shown, next_page_token=token)

    @requires(Action.SUITE_MANAGE)
    async def GetAuthorization(
        self, request: pb.GetAuthorizationRequest, context: Context
    ) -> pb.GetAuthorizationResponse:
        """Return one corp's authorisation."""
        view = await self._authorizations.get(*_suite_and_corp(request))
        return pb.GetAuthorizationResponse(authorization=suite_messages.authorization(view))

    @requires(Action.SUITE_MANAGE, operates=True)
    async def RefreshAuthorization(
        self, request: pb.RefreshAuthorizationRequest, context: Context
    ) -> pb.RefreshAuthorizationResponse:
        """Read one corp's authorisation at WeCom anew."""
        view = await self._authorizations.refresh(*_suite_and_corp(request), by=current_caller.get().name)
        return pb.RefreshAuthorizationResponse(authorization=suite_messages.authorization(view))

    @requires(Action.SUITE_MANAGE, of=Of.HANDLER)
    async def WatchAuthorizations(
        self, request: pb.WatchAuthorizationsRequest, context: Context
    ) -> AsyncIterator[pb.WatchAuthorizationsResponse]:
        """Stream the present authorisations, then each change."""
        suite = messages.app_name("app", request.app)
        self._rights.grant_somewhere(suite)
        async with aclosing(self._authorizations.watch(suite)) as stream:
            for chunk in self._chunks(await anext(stream)):
                yield pb.WatchAuthorizationsResponse(authorizations=chunk, snapshot=True)
            yield pb.WatchAuthorizationsResponse(snapshot=True, snapshot_complete=True)
            async for changed in stream:
                for chunk in self._chunks(changed):
                    yield pb.WatchAuthorizationsResponse(authorizations=chunk)

    def _chunks(self, views: Sequence[AuthorizationView]) -> Iterator[list[pb.Authorization]]:
        return messages.chunks(map(suite_messages.authorization, self._visible_in(views)))

    def _visible_in(self, views: Sequence[AuthorizationView]) -> list[AuthorizationView]:
        """Return the rows of corps that the caller may act for; a row without a corp may be any corp's."""
        may_see = self._rights.visible()
        return [view for view in views if may_see(view.suite, view.corp_id)]


def _suite_and_corp(request: pb.GetAuthorizationRequest | pb.RefreshAuthorizationRequest) -> tuple[str, str]:
    """Return which authorisation is meant. Raises `InvalidRequest`."""
    suite, corp_id = messages.app_name("app", request.app), messages.corp_id("corp_id", request.corp_id)
    if not corp_id:
        raise InvalidRequest("corp_id", "is required")
    return suite, corp_id


def _auth_code(given: str) -> str:
    """Return an auth_code. Raises `InvalidRequest`, which does not repeat it."""
    if not given:
        raise InvalidRequest("auth_code", "is required")
    if len(given.encode()) > LONGEST_CODE:
        raise InvalidRequest("auth_code", f"has more than {LONGEST_CODE} bytes")
    return given


def _mark(view: AuthorizationView) -> str:
    return view.mark
