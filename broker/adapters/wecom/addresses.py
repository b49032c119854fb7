"""WeCom's endpoints about its own addresses."""

from broker.adapters.wecom.call import Call
from broker.adapters.wecom.client import WecomClient
from broker.domain.credentials import Credential


class AddressEndpoints:
    """Ask WeCom for its own addresses."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client

    async def fetch_callback_addresses(self, token: Credential) -> list[str]:
        """List the addresses and ranges that callbacks come from (wecom-api A13)."""
        answer = await self._client.send(Call("GET", "/cgi-bin/getcallbackip", token))
        return [str(address) for address in answer.entries("ip_list")]
