"""WeCom's endpoints about how corps authorise suites."""

from broker.adapters.wecom.call import Answer, Call
from broker.adapters.wecom.client import WecomClient
from broker.adapters.wecom.suites.details import details_of, editions_of, permissions_of
from broker.domain.apps import App
from broker.domain.corps import CORP_ID
from broker.domain.credentials import Credential, Grant
from broker.domain.ports.wecom import AuthorizationDetails, ExchangedCode
from broker.domain.secret import Secret
from broker.domain.suites.authorization import Edition, Permission
from broker.protocol.wecom_json import as_object, as_text, is_whole


class AuthorizationEndpoints:
    """Take authorisations, and read what they allow; an auth_code is sent only once."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client

    async def fetch_pre_auth_code(self, suite_token: Credential) -> Grant:
        """Fetch the code that an install link carries (wecom-api B3)."""
        call = Call("GET", "/cgi-bin/service/get_pre_auth_code", suite_token, at_will=True)
        answer = await self._client.send(call)
        return answer.grant("pre_auth_code")

    async def set_session_info(
        self, suite_token: Credential, pre_auth_code: Secret, *, test_install: bool
    ) -> None:
        """Say whether the link installs a suite that is not published (wecom-api B4)."""
        body = {"pre_auth_code": pre_auth_code, "session_info": {"auth_type": int(test_install)}}
        path = "/cgi-bin/service/set_session_info"
        await self._client.send(
            Call("POST", path, suite_token, body=body, blames="test_install", at_will=True)
        )

    async def exchange_auth_code(self, suite_token: Credential, auth_code: Secret) -> ExchangedCode:
        """Exchange an auth_code for the permanent code (wecom-api B6, v2)."""
        path = "/cgi-bin/service/v2/get_permanent_code"
        body = {"auth_code": auth_code}
        call = Call("POST", path, suite_token, body=body, blames="auth_code", carries_code=True)
        return _exchanged(await self._client.send(call))

    async def read_authorization(self, suite_token: Credential, app: App) -> AuthorizationDetails:
        """Read the agents of a corp, and who shares them (wecom-api B7, v2)."""
        return details_of(await self._read("/cgi-bin/service/v2/get_auth_info", suite_token, app))

    async def read_editions(self, suite_token: Credential, app: App) -> dict[int, Edition]:
        """Read what the corp paid for, by agent id (wecom-api B7, the old path)."""
        return editions_of(await self._read("/cgi-bin/service/get_auth_info", suite_token, app))

    async def read_permissions(self, corp_token: Credential) -> tuple[Permission, ...]:
        """Read what the corp allows, and until when (wecom-api B7)."""
        call = Call("POST", "/cgi-bin/agent/get_permissions", corp_token, body={})
        return permissions_of(await self._client.send(call))

    async def _read(self, path: str, suite_token: Credential, app: App) -> Answer:
        body = {"auth_corpid": app.corp_id, "permanent_code": app.secret}
        return await self._client.send(Call("POST", path, suite_token, body=body, corp_id=app.corp_id))


def _exchanged(answer: Answer) -> ExchangedCode:
    """Return what must be kept of the answer; whoever installed it may be absent (wecom-api B6)."""
    corp = as_object(answer.fields.get("auth_corp_info"))
    corp_id = as_text(corp.get("corpid"))
    if not CORP_ID.fullmatch(corp_id):
        raise answer.unreadable("has no usable auth_corp_info.corpid")
    installer = as_text(as_object(answer.fields.get("auth_user_info")).get("userid"))
    return ExchangedCode(
        corp_id,
        as_text(corp.get("corp_name")),
        answer.secret("permanent_code"),
        installer if is_whole(installer) else "",
        as_text(answer.fields.get("state")),
    )
