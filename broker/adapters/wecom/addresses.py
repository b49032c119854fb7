"""WeCom's endpoints about its own machines (wecom-api A13)."""

from broker.adapters.wecom.client import WecomHttp, scope_of, token_query
from broker.domain.credentials import Credential
from broker.domain.errors import WecomProtocol


class WecomAddressEndpoints:
    """Ask WeCom where it is."""

    def __init__(self, http: WecomHttp) -> None:
        self._http = http

    async def fetch_callback_addresses(self, token: Credential) -> list[str]:
        """List the addresses and ranges that callbacks come from."""
        path = "/cgi-bin/getcallbackip"
        answer = await self._http.call("GET", scope_of(token, path), token_query(token))
        listed = answer.get("ip_list")
        if not isinstance(listed, list):
            raise WecomProtocol("WeCom's answer has no ip_list", endpoint=path)
        return [str(address) for address in listed]
