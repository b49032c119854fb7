"""Where credentials come from: the one place that knows the chain of each kind of app.

self-built   secret → token of the own corp → token of a child
third-party  suite_ticket → suite token → permanent code → token of the corp
代开发        permanent code → token of the corp → token of a child
all          token of a corp → its tickets
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from broker.domain.apps import App, AppKind
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, CredentialKey, CredentialKind, Grant, Need
from broker.domain.errors import (
    CorpNotAuthorized,
    ReauthorizationRequired,
    SecretRejected,
    SuiteTicketMissing,
)
from broker.domain.ports.clock import Clock
from broker.domain.ports.wecom import GiveBack, WecomSuites, WecomTickets, WecomTokens
from broker.domain.suites.authorization import Authorization
from broker.domain.suites.catalog import Catalog
from broker.domain.suites.suite import Suite
from broker.usecases.credentials.engine import CredentialEngine
from broker.usecases.limits.recovery_budget import current_recovery_budget
from broker.usecases.limits.ticket_quota import TicketQuota
from broker.usecases.suites.authorizations import Authorizations
from broker.usecases.suites.calls import SuiteCalls
from broker.usecases.suites.tickets import SuiteTickets


class WecomCredentialSource:
    """Fetch any credential, with those before it in its chain (wecom-api A1, A3-A5, B2, B8, B12)."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        tokens: WecomTokens,
        tickets: WecomTickets,
        suites: WecomSuites,
        suite_tickets: SuiteTickets,
        authorizations: Authorizations,
        suite_calls: SuiteCalls,
        quota: TicketQuota,
        clock: Clock,
    ) -> None:
        self._catalog = catalog
        self._tokens = tokens
        self._tickets = tickets
        self._suites = suites
        self._suite_tickets = suite_tickets
        self._authorizations = authorizations
        self._suite_calls = suite_calls
        self._quota = quota
        self._clock = clock

    async def fetch(self, key: CredentialKey, engine: CredentialEngine, *, need: Need) -> Grant:
        """Fetch the credential from WeCom. Raises what WeCom's answer means, and `QuotaReserved`."""
        corp = self._authorizations.get((key.app, key.parent_corp_id or key.corp_id))
        # Before asking: by the time of the answer another app may have the name.
        identity = self._catalog.identity(key.app)
        try:
            return replace(await self._fetched(key, engine, need=need), identity=identity)
        except ReauthorizationRequired as ended:
            if corp:
                await self._authorizations.refuse(corp, ended)
            raise

    async def _fetched(self, key: CredentialKey, engine: CredentialEngine, *, need: Need) -> Grant:
        match key.kind:
            case CredentialKind.ACCESS_TOKEN if key.share_kind is not ShareKind.OWN:
                return await self._child_token(key, engine)
            case CredentialKind.ACCESS_TOKEN if suite := self._catalog.suites.get(key.app):
                return await self._corp_token(suite, key, engine)
            case CredentialKind.ACCESS_TOKEN:
                current_recovery_budget().step()
                return await self._tokens.fetch_app_token(self._catalog.app(key.app))
            case CredentialKind.SUITE_TOKEN:
                return await self._suite_token(self._catalog.suite(key.app))
            case CredentialKind.PROVIDER_TOKEN:
                current_recovery_budget().step()
                return await self._suites.fetch_provider_token(self._catalog.provider(key.app))
            case _:
                return await self._ticket(key, engine, need=need)

    async def _suite_token(self, suite: Suite) -> Grant:
        ticket = await self._suite_tickets.current(suite)
        while True:
            current_recovery_budget().step()
            try:
                return await self._suites.fetch_suite_token(suite, ticket.value)
            except SuiteTicketMissing as refused:
                # A newer one may have come meanwhile.
                ticket = await self._suite_tickets.after(suite, ticket, refused)

    async def _child_token(self, key: CredentialKey, engine: CredentialEngine) -> Grant:
        parent = await self._parent(key)

        async def fetch(token: Credential) -> Grant:
            return await self._tokens.fetch_child_token(token, key.corp_id, key.agent_id, key.share_kind)

        return await engine.using(CredentialKey.own_token(parent), self._timed(fetch))

    async def _parent(self, child: CredentialKey) -> App:
        """Return the app in the corp that shares it with the child."""
        if not child.parent_corp_id:
            return self._catalog.app(child.app)
        suite = self._catalog.suite(child.app)
        return (await self._authorizations.usable(suite, child.parent_corp_id)).app(suite)

    async def _corp_token(self, suite: Suite, key: CredentialKey, engine: CredentialEngine) -> Grant:
        """Fetch the token of a suite's app in a corp that authorised it."""
        authorization = await self._authorizations.usable(suite, key.corp_id)
        while True:
            try:
                grant = await self._with_code(authorization, suite, key, engine)
            except (SecretRejected, ReauthorizationRequired) as refused:
                # Another permanent code may have taken its place meanwhile.
                present = await self._authorizations.newest(authorization)
                if present.permanent_code in (None, authorization.permanent_code):
                    await self._authorizations.doubt(present, refused)
                    raise
                authorization = present
            else:
                break
        present = self._authorizations.get(authorization.key) or authorization
        if present.permanent_code is None:
            raise CorpNotAuthorized("this corp cancelled the app", app=key.app, corp_id=key.corp_id)
        return grant

    async def _with_code(
        self, authorization: Authorization, suite: Suite, key: CredentialKey, engine: CredentialEngine
    ) -> Grant:
        app = authorization.app(suite, key.agent_id)
        if suite.kind is AppKind.CUSTOMIZED:
            # The permanent code is the app's secret (wecom-api B15).
            current_recovery_budget().step()
            try:
                return await self._tokens.fetch_app_token(app)
            except SecretRejected as refused:
                remedy = "if no reset_permanent_code follows, 重新获取secret brings another"
                problem = f"WeCom refuses the permanent code of this corp: {remedy}"
                raise SecretRejected(problem, **{**refused.metadata, "corp_id": app.corp_id}) from None

        async def fetch(token: Credential) -> Grant:
            return await self._suites.fetch_corp_token(token, app)

        return await self._suite_calls.about(authorization, suite, engine, self._timed(fetch))

    async def _ticket(self, key: CredentialKey, engine: CredentialEngine, *, need: Need) -> Grant:
        """Fetch a ticket with the token of the page's corp: for a child, the child's (wecom-api G13)."""
        is_corp = key.kind is CredentialKind.CORP_TICKET
        fetch = self._tickets.fetch_corp_ticket if is_corp else self._tickets.fetch_agent_ticket

        async def allow() -> GiveBack:
            return await self._quota.take(key, need=need)

        async def with_token(token: Credential) -> Grant:
            return await fetch(token, allow)

        return await engine.using(key.of_kind(CredentialKind.ACCESS_TOKEN), self._timed(with_token))

    def _timed(
        self, fetch: Callable[[Credential], Awaitable[Grant]]
    ) -> Callable[[Credential], Awaitable[Grant]]:
        """Return the fetch with its own moment of asking: the token before it may be fetched first."""

        async def fetch_now(token: Credential) -> Grant:
            asked_at = self._clock.now()
            return replace(await fetch(token), asked_at=asked_at)

        return fetch_now
