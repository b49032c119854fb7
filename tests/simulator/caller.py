"""A client that calls the simulator as a broker would, and a clock that only moves when told."""

import io
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from broker.simulator import demo

GETTOKEN = "/cgi-bin/gettoken"
LIST_SHARES = "/cgi-bin/corpgroup/corp/list_app_share_info"
CHILD_TOKEN = "/cgi-bin/corpgroup/corp/gettoken"
AGENT_GET = "/cgi-bin/agent/get"
CHILD = {"corpid": "ww1child000000001", "agentid": 1000010}
CORP_TICKET = "/cgi-bin/get_jsapi_ticket"
AGENT_TICKET = "/cgi-bin/ticket/get"
USER_INFO = "/cgi-bin/auth/getuserinfo"
USER_DETAIL = "/cgi-bin/auth/getuserdetail"
JS_CODE_TO_SESSION = "/cgi-bin/miniprogram/jscode2session"
TRANSFER_SESSION = "/cgi-bin/miniprogram/transfer_session"
USER_GET = "/cgi-bin/user/get"
MESSAGE_SEND = "/cgi-bin/message/send"
MEDIA_UPLOAD = "/cgi-bin/media/upload"
MEDIA_GET = "/cgi-bin/media/get"
SUPPLIER = {"corpid": "wpSupplier_000000001", "agentid": 1000020, "business_type": 1}

Json = dict[str, Any]


@dataclass
class FakeClock:
    """Stand still at `now`."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Caller:
    """Call endpoints and give the parsed answers."""

    session: aiohttp.ClientSession

    async def get(self, path: str, **query: object) -> Json:
        async with self.session.get(_url(path, query)) as response:
            return await _parsed(response)

    async def post(self, path: str, body: Json, **query: object) -> Json:
        async with self.session.post(_url(path, query), json=body) as response:
            return await _parsed(response)

    async def request(self, method: str, path: str, data: bytes | None = None, **query: object) -> Json:
        async with self.session.request(method, _url(path, query), data=data) as response:
            return await _parsed(response)

    async def gettoken(self, corpid: str = demo.PARENT.corpid, corpsecret: str = demo.SECRET) -> Json:
        return await self.get(GETTOKEN, corpid=corpid, corpsecret=corpsecret)

    async def token(self) -> str:
        return str((await self.gettoken())["access_token"])

    async def child_gettoken(self, parent_token: str | None = None, /, **fields: object) -> Json:
        token = parent_token or await self.token()
        return await self.post(CHILD_TOKEN, {**CHILD, **fields}, access_token=token)

    async def child_token(self, **fields: object) -> str:
        return str((await self.child_gettoken(**fields))["access_token"])

    async def corp_ticket(self, token: str, **query: object) -> Json:
        return await self.get(CORP_TICKET, access_token=token, **query)

    async def agent_ticket(self, token: str, ticket_type: str = "agent_config") -> Json:
        return await self.get(AGENT_TICKET, access_token=token, type=ticket_type)

    async def user_info(self, code: str, token: str | None = None) -> Json:
        return await self.get(USER_INFO, access_token=token or await self.token(), code=code)

    async def mini_session(self, js_code: str, token: str | None = None, **query: object) -> Json:
        query = {"grant_type": "authorization_code", **query}
        token = token or await self.token()
        return await self.get(JS_CODE_TO_SESSION, access_token=token, js_code=js_code, **query)

    async def transfer(self, token: str, userid: object, session_key: object) -> Json:
        body = {"userid": userid, "session_key": session_key}
        return await self.post(TRANSFER_SESSION, body, access_token=token)

    async def upload(self, token: str, content: bytes, name: str = "a.txt", kind: str = "file") -> Json:
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("media", io.BytesIO(content), filename=name, content_type="text/plain")
        url = _url(MEDIA_UPLOAD, {"access_token": token, "type": kind})
        async with self.session.post(url, data=form) as response:
            return await _parsed(response)

    async def probe(self, token: str, agentid: object = demo.PARENT.agentid) -> int:
        return int((await self.get(AGENT_GET, access_token=token, agentid=agentid))["errcode"])

    async def control(self, method: str, name: str, body: Json | None = None) -> tuple[int, Json]:
        async with self.session.request(method, f"/_simulator/{name}", json=body) as response:
            return response.status, await response.json()


def _url(path: str, query: dict[str, object]) -> URL:
    return URL(path).with_query({name: str(value) for name, value in query.items()})


async def _parsed(response: aiohttp.ClientResponse) -> Json:
    parsed: Json = await response.json()
    return parsed
