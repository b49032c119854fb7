"""WeCom's endpoints about users: codes, profiles and sessions."""

from typing import NamedTuple

from broker.adapters.wecom.call import Answer, Call
from broker.adapters.wecom.client import WecomClient
from broker.domain.credentials import Credential, CredentialKind
from broker.domain.errors import DataRejected, InvalidRequest
from broker.domain.people.users import User
from broker.domain.ports.wecom import LoginSession
from broker.domain.secret import Secret
from broker.protocol.user_identity import read_suite_user, read_user


class Paths(NamedTuple):
    """Where WeCom is asked who a user is."""

    login: str
    profile: str
    mini_program: str


PATHS = {
    CredentialKind.ACCESS_TOKEN: Paths(
        "/cgi-bin/auth/getuserinfo", "/cgi-bin/auth/getuserdetail", "/cgi-bin/miniprogram/jscode2session"
    ),
    CredentialKind.SUITE_TOKEN: Paths(
        "/cgi-bin/service/auth/getuserinfo3rd",
        "/cgi-bin/service/auth/getuserdetail3rd",
        "/cgi-bin/service/miniprogram/jscode2session",
    ),
}
"""By the kind of the token (wecom-api A7-A9, B10, B11)."""
PROFILE_FIELDS = ("userid", "gender", "avatar", "qr_code", "mobile", "email", "biz_mail", "address")
"""Not `name`: for third parties it is the userid (wecom-api B10)."""


class UserEndpoints:
    """Ask WeCom who a user is; codes are sent only once."""

    def __init__(self, client: WecomClient) -> None:
        self._client = client

    async def exchange_auth_code(self, token: Credential, code: Secret) -> User:
        """Exchange the code of a web login (wecom-api A7, B10)."""
        path = PATHS[token.key.kind].login
        call = Call("GET", path, token, (("code", code),), blames="code", carries_code=True)
        fields = (await self._client.send(call)).fields
        return read_suite_user(fields) if _is_suite(token) else read_user(fields, token.key.corp_id)

    async def fetch_profile(self, token: Credential, user_ticket: Secret) -> dict[str, str]:
        """Fetch what a user agreed to show (wecom-api A8, B10)."""
        path = PATHS[token.key.kind].profile
        body = {"user_ticket": user_ticket}
        call = Call("POST", path, token, body=body, blames="user_ticket", at_will=True)
        answer = await self._client.send(call)
        corp = {"corpid": answer.corp_id("corpid")} if _is_suite(token) else {}
        found = {name: answer.fields.get(name) for name in PROFILE_FIELDS}
        return corp | {name: str(value) for name, value in found.items() if value not in (None, "")}

    async def exchange_login_code(self, token: Credential, js_code: Secret) -> LoginSession:
        """Exchange the code of a mini-program login (wecom-api A9, B11)."""
        query = (("js_code", js_code), ("grant_type", "authorization_code"))
        path = PATHS[token.key.kind].mini_program
        call = Call("GET", path, token, query, blames="js_code", carries_code=True)
        answer = await self._client.send(call)
        return _session(answer, answer.corp_id("corpid"))

    async def transfer_session(
        self, child_token: Credential, user_id: str, session_key: Secret
    ) -> LoginSession:
        """Turn a parent's session into the child's (wecom-api A10)."""
        body = {"userid": user_id, "session_key": session_key}
        path = "/cgi-bin/miniprogram/transfer_session"
        call = Call("POST", path, child_token, body=body, blames="session_key", at_will=True)
        try:
            answer = await self._client.send(call)
        except InvalidRequest as refused:
            problem = "WeCom does not take this session_key for this user and child"
            raise DataRejected(problem, **refused.metadata) from None
        return _session(answer, child_token.key.corp_id)


def _is_suite(token: Credential) -> bool:
    """Return whether the token is a suite's own, so that only the answer names the corp."""
    return token.key.kind is CredentialKind.SUITE_TOKEN


def _session(answer: Answer, corp_id: str) -> LoginSession:
    return LoginSession(corp_id, answer.identifier("userid"), answer.secret("session_key"))
