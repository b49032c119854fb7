"""WeCom's endpoints about users: codes, profiles and sessions."""

from broker.adapters.wecom.call import Answer, Call
from broker.adapters.wecom.client import WecomClient
from broker.domain.credentials import Credential
from broker.domain.errors import DataRejected, InvalidRequest
from broker.domain.ports.wecom import LoginSession
from broker.domain.secret import Secret
from broker.domain.users import User
from broker.protocol.user_identity import read_user

PROFILE_FIELDS = ("userid", "gender", "avatar", "qr_code", "mobile", "email", "biz_mail", "address")


class UserEndpoints:
    """Ask WeCom who a user is; codes are sent only once."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client

    async def exchange_auth_code(self, token: Credential, code: Secret) -> User:
        """Exchange the code of a web login (wecom-api A7)."""
        query = (("code", code),)
        call = Call("GET", "/cgi-bin/auth/getuserinfo", token, query, blames="code", carries_code=True)
        return read_user((await self._client.send(call)).fields, token.key.corp_id)

    async def fetch_profile(self, token: Credential, user_ticket: Secret) -> dict[str, str]:
        """Fetch what a user agreed to show (wecom-api A8)."""
        body = {"user_ticket": user_ticket}
        call = Call("POST", "/cgi-bin/auth/getuserdetail", token, body=body, blames="user_ticket")
        fields = (await self._client.send(call)).fields
        return {name: str(fields[name]) for name in PROFILE_FIELDS if fields.get(name) not in (None, "")}

    async def exchange_login_code(self, token: Credential, js_code: Secret) -> LoginSession:
        """Exchange the code of a mini-program login (wecom-api A9)."""
        query = (("js_code", js_code), ("grant_type", "authorization_code"))
        path = "/cgi-bin/miniprogram/jscode2session"
        call = Call("GET", path, token, query, blames="js_code", carries_code=True)
        answer = await self._client.send(call)
        return _session(answer, answer.identifier("corpid"))

    async def transfer_session(
        self, child_token: Credential, user_id: str, session_key: Secret
    ) -> LoginSession:
        """Turn a parent's session into the child's (wecom-api A10)."""
        body = {"userid": user_id, "session_key": session_key}
        path = "/cgi-bin/miniprogram/transfer_session"
        call = Call("POST", path, child_token, body=body, blames="session_key")
        try:
            answer = await self._client.send(call)
        except InvalidRequest as refused:
            problem = "WeCom does not take this session_key for this user and child"
            raise DataRejected(problem, **refused.metadata) from None
        return _session(answer, child_token.key.corp_id)


def _session(answer: Answer, corp_id: str) -> LoginSession:
    return LoginSession(corp_id, answer.identifier("userid"), Secret(answer.identifier("session_key")))
