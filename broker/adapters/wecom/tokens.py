"""WeCom's endpoints for access tokens."""

from broker.adapters.wecom.call import Call
from broker.adapters.wecom.client import WecomClient
from broker.domain.apps import App
from broker.domain.corps import ShareKind
from broker.domain.credentials import Credential, Grant


class TokenEndpoints:
    """Ask WeCom for tokens."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client

    async def fetch_app_token(self, app: App) -> Grant:
        """Fetch an app's token in its own corp (wecom-api A1)."""
        query = (("corpid", app.corp_id), ("corpsecret", app.secret))
        answer = await self._client.send(Call("GET", "/cgi-bin/gettoken", app, query))
        return answer.grant("access_token")

    async def fetch_child_token(
        self, parent: Credential, corp_id: str, agent_id: int, share_kind: ShareKind
    ) -> Grant:
        """Fetch a child's token; the agent id is the child's, the limits are the parent's (wecom-api A3)."""
        body = {"corpid": corp_id, "agentid": agent_id, "business_type": share_kind.business_type}
        call = Call("POST", "/cgi-bin/corpgroup/corp/gettoken", parent, body=body, blames="target")
        return (await self._client.send(call)).grant("access_token")
