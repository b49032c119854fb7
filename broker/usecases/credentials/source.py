"""Where credentials come from: the app's secret, the parent's token, or the token of the same corp."""

from collections.abc import Mapping
from dataclasses import replace

from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey, CredentialKind, Grant
from broker.domain.ports.clock import Clock
from broker.domain.ports.wecom import WecomTickets, WecomTokens
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.limits.recovery_budget import current_recovery_budget
from broker.usecases.limits.ticket_quota import TicketQuota


class WecomCredentialSource:
    """Fetch any credential of an app, with the credentials before it in the chain (wecom-api A1, A3-A5)."""

    def __init__(
        self,
        apps: Mapping[str, App],
        tokens: WecomTokens,
        tickets: WecomTickets,
        quota: TicketQuota,
        clock: Clock,
    ) -> None:
        self._apps = apps
        self._tokens = tokens
        self._tickets = tickets
        self._quota = quota
        self._clock = clock

    async def fetch(self, key: CredentialKey, engine: CredentialEngine, *, urgent: bool) -> Grant:
        """Fetch the credential from WeCom. Raises what WeCom's answer means, and `QuotaReserved`."""
        if key.kind is not CredentialKind.ACCESS_TOKEN:
            return await self._ticket(key, engine, urgent=urgent)
        app = self._apps[key.app]
        if key.share_kind is ShareKind.OWN:
            current_recovery_budget().step()
            return await self._tokens.fetch_app_token(app)

        async def with_parent(parent: Credential) -> Grant:
            asked_at = self._clock.now()
            grant = await self._tokens.fetch_child_token(parent, key.corp_id, key.agent_id, key.share_kind)
            return replace(grant, asked_at=asked_at)

        return await engine.using(CredentialKey.own_token(app), with_parent)

    async def _ticket(self, key: CredentialKey, engine: CredentialEngine, *, urgent: bool) -> Grant:
        """Fetch a ticket with the token of the page's corp: for a child, the child's (wecom-api G13)."""
        is_corp = key.kind is CredentialKind.CORP_TICKET
        fetch = self._tickets.fetch_corp_ticket if is_corp else self._tickets.fetch_agent_ticket

        async def allow() -> None:
            await self._quota.take(key, urgent=urgent)

        async def with_token(token: Credential) -> Grant:
            asked_at = self._clock.now()
            return replace(await fetch(token, allow), asked_at=asked_at)

        return await engine.using(key.of_kind(CredentialKind.ACCESS_TOKEN), with_token)
