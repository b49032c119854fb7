"""WeCom's endpoints for the tokens of suites, of providers and of third-party apps in a corp."""

from broker.adapters.wecom.call import Call
from broker.adapters.wecom.client import WecomClient
from broker.domain.apps import App
from broker.domain.credentials import Credential, Grant
from broker.domain.secret import Secret
from broker.domain.suites.suite import Provider, Suite


class SuiteTokenEndpoints:
    """Ask WeCom for a provider's tokens; secrets travel in bodies alone."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client

    async def fetch_suite_token(self, suite: Suite, ticket: Secret) -> Grant:
        """Fetch a suite's token with its current suite_ticket (wecom-api B2)."""
        body = {"suite_id": suite.suite_id, "suite_secret": suite.secret, "suite_ticket": ticket}
        answer = await self._client.send(Call("POST", "/cgi-bin/service/get_suite_token", suite, body=body))
        return answer.grant("suite_access_token")

    async def fetch_provider_token(self, provider: Provider) -> Grant:
        """Fetch a provider's token (wecom-api B12)."""
        body = {"corpid": provider.corp_id, "provider_secret": provider.secret}
        path = "/cgi-bin/service/get_provider_token"
        answer = await self._client.send(Call("POST", path, provider, body=body))
        return answer.grant("provider_access_token")

    async def fetch_corp_token(self, suite_token: Credential, app: App) -> Grant:
        """Fetch the token of a third-party app in a corp (wecom-api B8)."""
        body = {"auth_corpid": app.corp_id, "permanent_code": app.secret}
        path = "/cgi-bin/service/get_corp_token"
        call = Call("POST", path, suite_token, body=body, corp_id=app.corp_id)
        answer = await self._client.send(call)
        return answer.grant("access_token")
