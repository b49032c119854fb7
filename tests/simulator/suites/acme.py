"""A provider that calls the simulator for its suites, as a broker would."""

from dataclasses import dataclass

from broker.simulator import World
from broker.simulator import provider_demo as demo
from tests.simulator.caller import Caller, Json

SERVICE = "/cgi-bin/service"
SUITE_TOKEN = f"{SERVICE}/get_suite_token"
PROVIDER_TOKEN = f"{SERVICE}/get_provider_token"
PERMANENT_CODE = f"{SERVICE}/get_permanent_code"
PERMANENT_CODE_V2 = f"{SERVICE}/v2/get_permanent_code"
AUTH_INFO = f"{SERVICE}/get_auth_info"
AUTH_INFO_V2 = f"{SERVICE}/v2/get_auth_info"
CORP_TOKEN = f"{SERVICE}/get_corp_token"

PARENT = demo.PARENT
CHILD = demo.child(1)


@dataclass
class Acme:
    """Call endpoints and give the parsed answers; suites are named, corps have their plain ids."""

    wecom: Caller
    world: World

    async def get_suite_token(self, suite: str = "market", **fields: object) -> Json:
        """Fetch with a new ticket, of which no URL is told, unless the fields say otherwise."""
        known = self.world.suites.get(suite)
        ticket = self.world.suites.tickets.issue(known.suite_id, self.world.now()).value
        body = {"suite_id": known.suite_id, "suite_secret": known.secret, "suite_ticket": ticket, **fields}
        return await self.wecom.post(SUITE_TOKEN, body)

    async def suite_token(self, suite: str = "market") -> str:
        return str((await self.get_suite_token(suite))["suite_access_token"])

    async def get_provider_token(self, **fields: object) -> Json:
        body = {"corpid": demo.PROVIDER, "provider_secret": demo.PROVIDER_SECRET, **fields}
        return await self.wecom.post(PROVIDER_TOKEN, body)

    async def provider_token(self) -> str:
        return str((await self.get_provider_token())["provider_access_token"])

    async def of_suite(self, path: str, body: Json, suite: str = "market") -> Json:
        """Post with the suite's token."""
        return await self.wecom.post(path, body, suite_access_token=await self.suite_token(suite))

    async def exchange(self, auth_code: str, suite: str = "market", path: str = PERMANENT_CODE_V2) -> Json:
        return await self.of_suite(path, {"auth_code": auth_code}, suite)

    async def about(self, path: str, corp: str = PARENT, suite: str = "market", **fields: object) -> Json:
        """Post what names an authorisation, with its permanent code."""
        code = self.world.suites.authorization(suite, corp).permanent_code
        corpid = self.world.suites.corpid(suite, corp)
        return await self.of_suite(path, {"auth_corpid": corpid, "permanent_code": code, **fields}, suite)

    async def gettoken(self, corp: str = PARENT, **query: str) -> Json:
        """Fetch the token of the 代开发 app in a corp."""
        secret = self.world.suites.authorization("tailored", corp).permanent_code
        corpid = self.world.suites.corpid("tailored", corp)
        return await self.wecom.gettoken(**{"corpid": corpid, "corpsecret": secret, **query})

    async def corp_token(self, suite: str = "market", corp: str = PARENT) -> str:
        """Return a token of a suite's app in a corp that has installed it."""
        customized = self.world.suites.get(suite).customized
        answer = await self.gettoken(corp) if customized else await self.about(CORP_TOKEN, corp)
        return str(answer["access_token"])
