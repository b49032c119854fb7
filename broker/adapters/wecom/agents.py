"""WeCom's endpoint for what an app may read about itself."""

from broker.adapters.wecom.call import Call
from broker.adapters.wecom.client import WecomClient
from broker.domain.credentials import Credential


class AgentEndpoints:
    """Ask WeCom about the app that a token is for."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client

    async def check_agent(self, token: Credential) -> None:
        """Return if the token and the agent id are of one app, which may call from here (wecom-api A11)."""
        query = (("agentid", str(token.key.agent_id)),)
        await self._client.send(Call("GET", "/cgi-bin/agent/get", token, query))
