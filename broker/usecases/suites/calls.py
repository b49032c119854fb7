"""Calls with a suite's token about one corp: a dead token is told from an authorisation that ended."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import BrokerError, ReauthorizationRequired, WecomUnavailable
from broker.domain.ports.wecom import WecomAuthorizations
from broker.domain.suites.authorization import Authorization
from broker.domain.suites.suite import Suite
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.suites.authorizations import Authorizations

SUITE_TOKEN_REFUSED = frozenset({"40082", "42009"})
"""WeCom says this of a dead suite token, and of a corp that does not authorise the suite (wecom-api B8)."""
Answer = TypeVar("Answer")


class SuiteCalls:
    """Make calls about a corp; one that WeCom no longer lets the suite call for is marked as such."""

    def __init__(self, authorizations: Authorizations, wecom: WecomAuthorizations) -> None:
        self._authorizations = authorizations
        self._wecom = wecom

    async def about(
        self,
        authorization: Authorization,
        suite: Suite,
        engine: CredentialEngine,
        call: Callable[[Credential], Awaitable[Answer]],
    ) -> Answer:
        """Call with the suite's token, renewed once if WeCom refuses it.

        Raises `ReauthorizationRequired` if WeCom refuses the permanent code (40084, 48004), or refuses for
        this corp a token that works for the suite itself; and what `CredentialEngine.using` raises.
        """
        used: list[Credential] = []

        async def with_token(token: Credential) -> Answer:
            used.append(token)
            return await call(token)

        try:
            try:
                answer = await engine.using(CredentialKey.suite_token(suite), with_token)
            except WecomUnavailable as refused:
                if refused.metadata.get("errcode") not in SUITE_TOKEN_REFUSED:
                    raise
                # The token that was refused: another may have taken its place by now.
                if not used or not await self._works(used[-1]):
                    raise
                raise ReauthorizationRequired(refused.message, **refused.metadata) from None
        except ReauthorizationRequired as ended:
            await self._authorizations.refuse(authorization, ended)
            raise
        if not authorization.identity:
            await self._authorizations.mark_proved(authorization, suite)
        return answer

    async def _works(self, token: Credential) -> bool:
        """Return whether WeCom takes the suite's token for a call that names no corp."""
        try:
            await self._wecom.fetch_pre_auth_code(token)
        except BrokerError:
            return False
        return True
