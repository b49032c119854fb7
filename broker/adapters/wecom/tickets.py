"""WeCom's endpoints for jsapi_tickets."""

from broker.adapters.wecom.call import Call, Query
from broker.adapters.wecom.client import WecomClient
from broker.domain.credentials import Credential, Grant
from broker.domain.ports.wecom import Allow


class TicketEndpoints:
    """Ask WeCom for tickets, of which it gives few an hour."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client

    async def fetch_corp_ticket(self, token: Credential, allow: Allow) -> Grant:
        """Fetch the ticket of the token's corp (wecom-api A4)."""
        return await self._fetch("/cgi-bin/get_jsapi_ticket", token, (), allow)

    async def fetch_agent_ticket(self, token: Credential, allow: Allow) -> Grant:
        """Fetch the ticket of the token's app (wecom-api A5)."""
        return await self._fetch("/cgi-bin/ticket/get", token, (("type", "agent_config"),), allow)

    async def _fetch(self, path: str, token: Credential, query: Query, allow: Allow) -> Grant:
        answer = await self._client.send(Call("GET", path, token, query, blames="target", allow=allow))
        return answer.grant("ticket")
