"""`IdentityService`: who a visitor is."""

from wecom_broker.v1 import identity_service_pb2 as pb
from wecom_broker.v1 import identity_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.errors import InvalidRequest
from broker.domain.people.users import User, UserKind
from broker.protocol.authorize_url import Scope
from broker.server.grpc import messages
from broker.server.grpc.audit.records import Audit
from broker.server.grpc.context import Context
from broker.server.grpc.entry.rights import Of, Rights, requires
from broker.usecases.identity import Identities

SCOPES = {
    pb.OAUTH_SCOPE_UNSPECIFIED: Scope.BASE,
    pb.OAUTH_SCOPE_BASE: Scope.BASE,
    pb.OAUTH_SCOPE_PRIVATE_INFO: Scope.PRIVATE_INFO,
}
KINDS = {
    UserKind.OWN_MEMBER: pb.USER_KIND_OWN_MEMBER,
    UserKind.CHILD_MEMBER: pb.USER_KIND_CHILD_MEMBER,
    UserKind.EXTERNAL_CONTACT: pb.USER_KIND_EXTERNAL_CONTACT,
    UserKind.NON_MEMBER: pb.USER_KIND_NON_MEMBER,
}


class IdentityServicer(pb_grpc.IdentityServiceServicer):
    """Parse, ask `Identities`, reply."""

    def __init__(self, identity: Identities, rights: Rights, audit: Audit) -> None:
        self._identity = identity
        self._audit = audit
        self._rights = rights

    @requires(Action.IDENTITY_EXCHANGE, of=Of.HANDLER)
    async def BuildAuthorizeUrl(
        self, request: pb.BuildAuthorizeUrlRequest, context: Context
    ) -> pb.BuildAuthorizeUrlResponse:
        """Return the link to WeCom."""
        app = messages.app_name("app", request.app)
        # The link is the same for the visitors of every corp.
        self._rights.grant_somewhere(app)
        scope = SCOPES.get(request.scope)
        if scope is None:
            raise InvalidRequest("scope", "is not a known scope")
        corp_id = messages.corp_id("corp_id", request.corp_id)
        url, state = await self._identity.build_authorize_url(
            app, request.redirect_uri, scope, request.state, corp_id
        )
        return pb.BuildAuthorizeUrlResponse(url=url, state=state)

    @requires(Action.IDENTITY_EXCHANGE, of=Of.HANDLER)
    async def ExchangeAuthCode(
        self, request: pb.ExchangeAuthCodeRequest, context: Context
    ) -> pb.ExchangeAuthCodeResponse:
        """Return the user whom the code identifies."""
        app = messages.app_name("app", request.app)
        # Only the answer names the corp; a caller without rights for any corp must not use up a code.
        self._rights.check_somewhere(app)
        visitor = await self._identity.exchange_code(
            app, request.code, messages.corp_id("corp_id", request.corp_id)
        )
        self._rights.grant(app, visitor.user.corp_id or visitor.app_corp_id)
        self._audit.user_ticket(context, app, visitor.user)
        return pb.ExchangeAuthCodeResponse(user=_user(visitor.user, known=visitor.corp_known))

    @requires(Action.IDENTITY_EXCHANGE, of=Of.HANDLER)
    async def GetUserProfile(
        self, request: pb.GetUserProfileRequest, context: Context
    ) -> pb.GetUserProfileResponse:
        """Return what the user agreed to show."""
        app = messages.app_name("app", request.app)
        corp_id = messages.corp_id("corp_id", request.corp_id)
        self._rights.check_somewhere(app)
        if known := await self._identity.corp_of(app, corp_id):
            self._rights.grant(app, known)
        profile = await self._identity.fetch_profile(app, request.user_ticket, corp_id)
        # Only the answer names the corp of a third-party suite's user, whatever the request says.
        self._rights.grant(app, profile.corp_id)
        fields = dict(profile.fields)
        user_id = fields.pop("userid", "")
        return pb.GetUserProfileResponse(
            profile=pb.UserProfile(corp_id=profile.corp_id, user_id=user_id, **fields)
        )


def _user(user: User, *, known: bool) -> pb.User:
    return pb.User(
        corp_id=user.corp_id,
        user_id=user.user_id,
        kind=KINDS[user.kind],
        external_user_id=user.external_user_id,
        open_id=user.open_id,
        user_ticket=user.user_ticket.reveal() if user.user_ticket else "",
        corp_unknown=not known,
    )
