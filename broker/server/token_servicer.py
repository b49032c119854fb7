"""`TokenService`: access tokens."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import grpc
from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2_grpc as pb_grpc

from broker.domain.callers import Action
from broker.domain.credentials import Credential
from broker.server import convert
from broker.server.context import Context
from broker.usecases.access_tokens import AccessTokens

Audit = Callable[[Action, Credential], None]


class TokenServicer(pb_grpc.TokenServiceServicer):
    """Parse, ask `AccessTokens`, reply; each credential handed out is audited."""

    def __init__(self, tokens: AccessTokens, audit: Audit) -> None:
        self._tokens = tokens
        self._audit = audit

    async def GetAccessToken(
        self, request: pb.GetAccessTokenRequest, context: Context
    ) -> pb.GetAccessTokenResponse:
        """Return a valid token."""
        credential = await self._tokens.get(convert.target(request.target), convert.min_ttl(request.min_ttl))
        self._audit(Action.TOKEN_GET, credential)
        return pb.GetAccessTokenResponse(token=convert.access_token(credential))

    async def WatchAccessToken(
        self, request: pb.WatchAccessTokenRequest, context: Context
    ) -> AsyncIterator[pb.WatchAccessTokenResponse]:
        """Stream the current token, then each rotation."""
        async with aclosing(self._tokens.watch(convert.target(request.target))) as credentials:
            async for credential in credentials:
                self._audit(Action.TOKEN_GET, credential)
                yield pb.WatchAccessTokenResponse(token=convert.access_token(credential))

    async def ReportInvalidToken(
        self, request: pb.ReportInvalidTokenRequest, context: Context
    ) -> pb.ReportInvalidTokenResponse:
        """Replace a token that WeCom refused."""
        target = convert.target(request.target)
        outcome, credential = await self._tokens.report(target, request.generation, request.errcode)
        self._audit(Action.TOKEN_REPORT, credential)
        return pb.ReportInvalidTokenResponse(
            outcome=convert.OUTCOMES[outcome], token=convert.access_token(credential)
        )
