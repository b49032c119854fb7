"""`TokenService`: access tokens."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.audit import AuditTarget
from broker.domain.credentials import NO_TIME, CredentialKind
from broker.domain.ports.clock import Clock
from broker.server.grpc import messages
from broker.server.grpc.audit.records import Audit
from broker.server.grpc.context import Context
from broker.server.grpc.entry.identity import current_caller
from broker.server.grpc.entry.rights import requires
from broker.usecases.access_tokens import AccessTokens
from broker.usecases.limits.forced import NOBODY

HANDED_OUT = {
    CredentialKind.ACCESS_TOKEN: Action.TOKEN_GET,
    CredentialKind.SUITE_TOKEN: Action.SUITE_TOKEN,
    CredentialKind.PROVIDER_TOKEN: Action.PROVIDER_TOKEN,
}
"""The action by which a token of each kind is handed out, for the audit log."""


class TokenServicer(pb_grpc.TokenServiceServicer):
    """Parse, ask `AccessTokens`, reply; each credential handed out is audited."""

    def __init__(self, tokens: AccessTokens, audit: Audit, clock: Clock) -> None:
        self._tokens = tokens
        self._audit = audit
        self._clock = clock

    @requires(Action.TOKEN_GET)
    async def GetAccessToken(
        self, request: pb.GetAccessTokenRequest, context: Context
    ) -> pb.GetAccessTokenResponse:
        """Return a valid token."""
        min_ttl = messages.min_ttl(request.min_ttl) if request.HasField("min_ttl") else NO_TIME
        credential = await self._tokens.get(
            messages.target(request.target), min_ttl, current_caller.get().name if min_ttl else NOBODY
        )
        self._audit(context, HANDED_OUT[credential.key.kind], credential)
        return pb.GetAccessTokenResponse(
            token=messages.access_token(credential), ttl=messages.ttl(credential, self._clock.now())
        )

    @requires(Action.TOKEN_GET)
    async def WatchAccessToken(
        self, request: pb.WatchAccessTokenRequest, context: Context
    ) -> AsyncIterator[pb.WatchAccessTokenResponse]:
        """Stream the current token, then each rotation."""
        async with aclosing(await self._tokens.watch(messages.target(request.target))) as credentials:
            async for credential in credentials:
                self._audit(context, HANDED_OUT[credential.key.kind], credential)
                yield pb.WatchAccessTokenResponse(
                    token=messages.access_token(credential), ttl=messages.ttl(credential, self._clock.now())
                )

    @requires(Action.TOKEN_REPORT)
    async def ReportInvalidToken(
        self, request: pb.ReportInvalidTokenRequest, context: Context
    ) -> pb.ReportInvalidTokenResponse:
        """Replace a token that WeCom refused."""
        target = messages.target(request.target)
        outcome, credential = await self._audit.reporting(
            context,
            Action.TOKEN_REPORT,
            "ReportInvalidToken",
            AuditTarget(target.app, target.corp_id, CredentialKind.ACCESS_TOKEN),
            request.generation,
            self._tokens.report(target, request.generation, request.errcode, current_caller.get().name),
        )
        self._audit(context, Action.TOKEN_REPORT, credential)
        return pb.ReportInvalidTokenResponse(
            outcome=messages.OUTCOMES[outcome],
            token=messages.access_token(credential),
            ttl=messages.ttl(credential, self._clock.now()),
        )
