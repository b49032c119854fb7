"""One try of a secret at WeCom; the token that WeCom grants for it is dropped."""

from broker.adapters.wecom.agents import AgentEndpoints
from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.suites.tokens import SuiteTokenEndpoints
from broker.adapters.wecom.tokens import TokenEndpoints
from broker.domain.apps import App
from broker.domain.credentials import Credential, CredentialKey
from broker.domain.errors import SuiteTicketMissing
from broker.domain.ports.clock import Clock
from broker.domain.suites.catalog import Owner
from broker.domain.suites.suite import Provider, Suite
from broker.usecases.suites.tickets import SuiteTickets


class Attempt:
    """Use a secret once, as a broker would."""

    def __init__(self, client: WecomClient, tickets: SuiteTickets | None, clock: Clock) -> None:
        self._tokens = TokenEndpoints(client)
        self._suites = SuiteTokenEndpoints(client)
        self._agents = AgentEndpoints(client)
        self._tickets = tickets
        self._clock = clock

    async def try_out(self, owner: Owner) -> None:
        """Return if WeCom accepts the secret, from here. Raises what its answer means."""
        match owner:
            case App():
                await self._app(owner)
            case Suite():
                if self._tickets is None:
                    raise SuiteTicketMissing("no broker has received a suite_ticket yet", app=owner.name)
                ticket = await self._tickets.current(owner)
                await self._suites.fetch_suite_token(owner, ticket.value)
            case Provider():
                await self._suites.fetch_provider_token(owner)

    async def _app(self, app: App) -> None:
        now = self._clock.now()
        grant = await self._tokens.fetch_app_token(app)
        if app.agent_id:
            # gettoken alone proves neither: some apps meet the list of trusted addresses only at other calls.
            key = CredentialKey.own_token(app)
            token = Credential(key, grant.value, 1, 1, now, now + grant.lifetime, now)
            await self._agents.check_agent(token)
