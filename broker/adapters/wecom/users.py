"""WeCom's endpoints about pages and their visitors: tickets, codes, sessions (wecom-api A4-A10)."""

from collections.abc import Mapping

from broker.adapters.wecom.client import WecomHttp, grant, scope_of, token_query
from broker.domain.credentials import Credential, Grant
from broker.domain.errors import WecomProtocol
from broker.domain.ports.wecom import Allow, LoginSession
from broker.domain.secret import Secret
from broker.domain.users import User
from broker.protocol.user_identity import read_user

PROFILE_FIELDS = ("userid", "gender", "avatar", "qr_code", "mobile", "email", "biz_mail", "address")


class WecomUserEndpoints:
    """Ask WeCom about users; codes travel once."""

    def __init__(self, http: WecomHttp) -> None:
        self._http = http

    async def fetch_corp_ticket(self, token: Credential, allow: Allow) -> Grant:
        """Fetch the ticket of the token's corp (wecom-api A4)."""
        path = "/cgi-bin/get_jsapi_ticket"
        answer = await self._http.call("GET", scope_of(token, path), token_query(token), allow=allow)
        return grant(path, answer, "ticket")

    async def fetch_agent_ticket(self, token: Credential, allow: Allow) -> Grant:
        """Fetch the ticket of the token's app (wecom-api A5)."""
        path = "/cgi-bin/ticket/get"
        query = {**token_query(token), "type": "agent_config"}
        answer = await self._http.call("GET", scope_of(token, path), query, allow=allow)
        return grant(path, answer, "ticket")

    async def exchange_auth_code(self, token: Credential, code: Secret) -> User:
        """Exchange the code of a web login (wecom-api A7)."""
        path = "/cgi-bin/auth/getuserinfo"
        query = {**token_query(token), "code": code.reveal()}
        answer = await self._http.call("GET", scope_of(token, path, carries_code=True), query)
        return read_user(answer, token.key.corp_id)

    async def fetch_profile(self, token: Credential, user_ticket: Secret) -> dict[str, str]:
        """Fetch what a user agreed to show (wecom-api A8)."""
        path = "/cgi-bin/auth/getuserdetail"
        body = {"user_ticket": user_ticket.reveal()}
        answer = await self._http.call("POST", scope_of(token, path), token_query(token), body)
        return {name: str(answer[name]) for name in PROFILE_FIELDS if answer.get(name) not in (None, "")}

    async def exchange_login_code(self, token: Credential, js_code: Secret) -> LoginSession:
        """Exchange the code of a mini-program login (wecom-api A9)."""
        path = "/cgi-bin/miniprogram/jscode2session"
        query = {**token_query(token), "js_code": js_code.reveal(), "grant_type": "authorization_code"}
        answer = await self._http.call("GET", scope_of(token, path, carries_code=True), query)
        return _session(path, answer, _word(path, answer, "corpid"))

    async def transfer_session(
        self, child_token: Credential, user_id: str, session_key: Secret
    ) -> LoginSession:
        """Turn a parent's session into the child's (wecom-api A10)."""
        path = "/cgi-bin/miniprogram/transfer_session"
        body = {"userid": user_id, "session_key": session_key.reveal()}
        key = child_token.key
        answer = await self._http.call("POST", scope_of(child_token, path), token_query(child_token), body)
        return _session(path, answer, key.corp_id)


def _session(path: str, answer: Mapping[str, object], corp_id: str) -> LoginSession:
    return LoginSession(corp_id, _word(path, answer, "userid"), Secret(_word(path, answer, "session_key")))


def _word(path: str, answer: Mapping[str, object], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise WecomProtocol(f"WeCom's answer has no {name}", endpoint=path)
    return value
