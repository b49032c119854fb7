"""`TokenService`: access tokens."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import timedelta

from wecom_broker.v1 import token_service_pb2 as pb
from wecom_broker.v1 import token_service_pb2_grpc as pb_grpc

from broker.domain.access import Action
from broker.domain.credentials import NO_TIME, Credential, CredentialKey
from broker.domain.ports.clock import Clock
from broker.server.grpc import messages
from broker.server.grpc.context import Context
from broker.server.grpc.rights import requires
from broker.usecases.access_tokens import AccessTokens

MADE = 20_000
"""Messages kept ready, at most."""

Audit = Callable[[Action, Credential], None]


class TokenServicer(pb_grpc.TokenServiceServicer):
    """Parse, ask `AccessTokens`, reply; each credential handed out is audited."""

    def __init__(self, tokens: AccessTokens, audit: Audit, clock: Clock) -> None:
        self._tokens = tokens
        self._audit = audit
        self._clock = clock
        self._messages: dict[CredentialKey, tuple[Credential, pb.AccessToken]] = {}

    @requires(Action.TOKEN_GET)
    async def GetAccessToken(
        self, request: pb.GetAccessTokenRequest, context: Context
    ) -> pb.GetAccessTokenResponse:
        """Return a valid token."""
        min_ttl = messages.min_ttl(request.min_ttl) if request.HasField("min_ttl") else NO_TIME
        credential = await self._tokens.get(messages.target(request.target), min_ttl)
        self._audit(Action.TOKEN_GET, credential)
        return pb.GetAccessTokenResponse(token=self._message(credential), ttl=self._ttl(credential))

    def _message(self, credential: Credential) -> pb.AccessToken:
        """Return the message of a credential, made once for each rotation."""
        made_for, message = self._messages.get(credential.key, (None, None))
        if message is None or made_for is not credential:
            if len(self._messages) >= MADE:
                self._messages.clear()
            message = messages.access_token(credential)
            self._messages[credential.key] = (credential, message)
        return message

    def _ttl(self, credential: Credential) -> timedelta:
        return max(credential.expires_at - self._clock.now(), NO_TIME)

    @requires(Action.TOKEN_GET)
    async def WatchAccessToken(
        self, request: pb.WatchAccessTokenRequest, context: Context
    ) -> AsyncIterator[pb.WatchAccessTokenResponse]:
        """Stream the current token, then each rotation."""
        async with aclosing(self._tokens.watch(messages.target(request.target))) as credentials:
            async for credential in credentials:
                self._audit(Action.TOKEN_GET, credential)
                yield pb.WatchAccessTokenResponse(token=self._message(credential), ttl=self._ttl(credential))

    @requires(Action.TOKEN_REPORT)
    async def ReportInvalidToken(
        self, request: pb.ReportInvalidTokenRequest, context: Context
    ) -> pb.ReportInvalidTokenResponse:
        """Replace a token that WeCom refused."""
        target = messages.target(request.target)
        outcome, credential = await self._tokens.report(target, request.generation, request.errcode)
        self._audit(Action.TOKEN_REPORT, credential)
        return pb.ReportInvalidTokenResponse(
            outcome=messages.OUTCOMES[outcome], token=self._message(credential), ttl=self._ttl(credential)
        )
