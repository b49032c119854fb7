"""A client that calls the simulator as a broker would, and a clock that only moves when told."""

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
